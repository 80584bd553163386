"""Refuses requests from other web sites: a `Host` that is not this server's, or a change with a foreign `Origin`.

A page whose domain name has been pointed at this server ("DNS rebinding") can read and post as if it came from the
server; only its `Host` header reveals it. An IP address cannot be rebound.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lehr.errors import Fault
from service.http.problems import problem

HOST = re.compile(r"(\[[0-9a-f:.%]+\]|[a-z0-9._-]+)(?::\d+)?", re.IGNORECASE)
ALWAYS_ALLOWED = "localhost"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_PAGES = ("same-origin", "none")
"""Values of `Sec-Fetch-Site`. `none`: a person typed the URL."""


class OriginChecks:
    """Middleware. `hosts`: this server's names; `*.example.com` allows all subdomains, `*` every name."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        named = {host.lower() for host in hosts}
        self._app = app
        self._names = {ALWAYS_ALLOWED, *named}
        self._endings = tuple(host[1:] for host in named if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if hosts or scope["http_version"] != "1.0":  # HTTP/1.0, which no browser uses, has no Host
            if len(hosts) != 1 or (host := HOST.fullmatch(hosts[0])) is None:
                return _bad_host(hosts)
            if not self._is_allowed(host[1].lower().removesuffix(".")):
                return _foreign_host(hosts[0])
        return None if scope["method"] in SAFE_METHODS else _foreign_origin(headers)

    def _is_allowed(self, name: str) -> bool:
        return "*" in self._names or name in self._names or name.endswith(self._endings) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _foreign_origin(headers: Headers) -> JSONResponse | None:
    """As Go's http.CrossOriginProtection: checks `Sec-Fetch-Site`, or `Origin` from older browsers."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return None if site in OWN_PAGES else _refused_origin("Sec-Fetch-Site", "same-origin", site)
    if origin is None or origin.lower().partition("://")[2] == headers.get("host", "").lower() != "":
        return None
    return _refused_origin("Origin", "the scheme and host of this server's own pages", origin)


def _bad_host(hosts: list[str]) -> JSONResponse:
    bound = "one Host header with a name or an address, and optionally a port"
    fault = Fault("Host", "is not one valid host", bound, ", ".join(hosts), "Send the host of the server's URL.")
    return problem(400, "bad-host", "the request does not name exactly one valid host", [fault])


def _foreign_host(host: str) -> JSONResponse:
    bound = "localhost, an IP address, or a name that LEHR_ALLOWED_HOSTS lists"
    remedy = "If the server has this name, add it to LEHR_ALLOWED_HOSTS and restart the server."
    detail = f"this server does not accept requests for the host {host[:200]}; {remedy[0].lower()}{remedy[1:-1]}"
    fault = Fault("Host", "is not an allowed host name", bound, host, remedy)
    return problem(421, "host-not-allowed", detail, [fault])


def _refused_origin(header: str, bound: str, value: str) -> JSONResponse:
    remedy = "Call the server from a program, or from a page that it serves itself."
    fault = Fault(header, "belongs to another site", bound, value, remedy)
    return problem(403, "foreign-origin", "web pages of other sites may not make changes on this server", [fault])
