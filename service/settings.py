"""The server's settings: from flags, then from LEHR_* variables. Only this file reads the environment."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HOST_NAME = re.compile(r"\*|(\*\.)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


class Settings(BaseSettings):
    """What an operator can set. Flags are passed as keyword arguments and take precedence."""

    model_config = SettingsConfigDict(env_prefix="LEHR_", extra="ignore", frozen=True)

    database: str = Field(
        default="sqlite:///lehr.sqlite", description="SQLAlchemy URL: sqlite:///FILE or postgresql://USER@HOST/NAME"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8765, ge=0, le=65535, description="port to listen on; 0 chooses a free port")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("localhost",),
        description="the server's names, separated by commas; IP addresses and `host` are always allowed",
    )
    lease_seconds: float = Field(
        default=60.0, gt=0, le=86_400, description="how long a lease lasts without a heartbeat"
    )
    beat_seconds: float = Field(default=15.0, gt=0, le=28_800, description="how often workers send heartbeats")
    max_trials: int = Field(default=10_000, ge=1, description="the largest budget of a study, in trials")
    max_body_bytes: int = Field(default=2**20, ge=1024, description="the largest request body")
    max_report_bytes: int = Field(
        default=16 * 2**20, ge=1024, description="the largest request body with reports or results"
    )
    receive_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="limit for receiving a request's head, and for a pause within its body"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level that is logged"
    )
    log_format: Literal["console", "json"] = Field(default="console", description="format of log lines")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        wrong = next((host for host in hosts if HOST_NAME.fullmatch(host) is None), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a host name; use names without scheme and port, such as lehr.example")
        return hosts
