"""How Alembic reaches the database: by the URL that lehr passes, or `-x url=…` by hand."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import text

from service.store.database import create_engine_for
from service.store.tables import Base, UtcDateTime

ADVISORY_LOCK = 0x6C656872
"""PostgreSQL's lock that lets one migration run at a time ("lehr" in ASCII)."""


def database_url() -> str:
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("migrations: no database URL; give it as `alembic -x url=sqlite:///lehr.sqlite …`")
    return str(url)


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write plain types into migrations: they must not change when the tables' classes do."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    engine = create_engine_for(database_url()).execution_options(lehr_write=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=True,
            render_as_batch=engine.dialect.name == "sqlite",
            render_item=render_item,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
