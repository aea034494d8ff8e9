"""The address of a PostgreSQL catalog, and the password apart from it.

Here: reading the URL as libpq does, and what DuckDB is given. Not here: attaching (`lake.connection`, `lake.lock`).

Concept: DuckDB repeats the address that it was given in its messages. So it gets one without the password, and the
password as a DuckDB secret, which no message shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from lake.errors import CatalogUrlError
from lake.storage import quoted

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg")
SECRET = "assay_catalog"
"""Name of the DuckDB secret that holds the password, in every connection of its own."""

_EXPECTED = (
    "expected postgresql://user:password@host:port/database, with /, @, :, ?, # and % in a user name or a password "
    "percent-encoded (%2F, %40, %3A, %3F, %23, %25)"
)


@dataclass(frozen=True)
class PostgresAddress:
    """Where a catalog is.

    Attributes:
        parameters: libpq's keywords and values, without the password.
        password: None when the URL has none: libpq then reads PGPASSWORD or a password file itself.
    """

    parameters: Mapping[str, str]
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, url: str, what: str = "The lake's catalog address", setting: str = "ASSAY_CATALOG_URL"
    ) -> PostgresAddress:
        """Read a URL. No message shows any part of it: what is wrong with it may be the password.

        Args:
            url: The URL.
            what: What it is the address of, for messages.
            setting: The setting that has it, for messages.

        Raises:
            CatalogUrlError: It is not a PostgreSQL URL, or one whose password ends before it should.
        """
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in SCHEMES:
            raise CatalogUrlError(
                f"{what} must start with postgresql:// (or be left out for SQLite). Correct {setting} and start again."
            )
        before, _, query = rest.partition("?")
        userinfo, at, address = before.rpartition("@")
        hosts, _, database = address.partition("/")
        if "@" in query or set("/@") & set(userinfo) or userinfo.count(":") > 1:
            raise CatalogUrlError(f"{what} cannot be read: {_EXPECTED}.")
        given = dict(_pairs(query, what))
        user, colon, password = userinfo.partition(":")
        parts = [_host_and_port(host, what) for host in hosts.split(",")]
        parameters = {
            "user": unquote(user) if at else "",
            "host": ",".join(host for host, _ in parts),
            "port": ",".join(port for _, port in parts) if any(port for _, port in parts) else "",
            "dbname": unquote(database),
            **given,
        }
        secret = parameters.pop("password", unquote(password) if colon else None)
        if "sslpassword" in parameters or "\0" in (secret or ""):
            raise CatalogUrlError(
                f"{what} has an sslpassword or a zero byte; expected neither. Use a client key "
                "without a password, which only its owner can read."
            )
        return cls({name: value for name, value in parameters.items() if value}, secret or None)

    def public_url(self) -> str:
        """Host, port and database as a URL, without user and password: for messages and markers."""
        host, port = self.parameters.get("host", ""), self.parameters.get("port")
        return f"postgresql://{host}{f':{port}' if port else ''}/{self.parameters.get('dbname', '')}"

    def dsn(self, **more: str) -> str:
        """The address as libpq's keywords and values, without the password; `more` is added to it."""
        return " ".join(f"{name}={_value(value)}" for name, value in {**self.parameters, **more}.items())

    def secret_sql(self) -> list[str]:
        """The statement that gives a DuckDB connection the password; none when there is none to give."""
        if self.password is None:
            return []
        return [
            f"create or replace temporary secret {SECRET} (type postgres, password {quoted(self.password)})"
        ]

    def attach_sql(self, alias: str, *options: str, **more: str) -> list[str]:
        """The statements that attach the database itself, not a lake in it, to a DuckDB connection.

        Args:
            alias: Its name there.
            options: DuckDB's, such as `read_only`.
            more: Added to the address.
        """
        chosen = ["type postgres", *options, *([] if self.password is None else [f"secret {SECRET}"])]
        return [*self.secret_sql(), f"attach {quoted(self.dsn(**more))} as {alias} ({', '.join(chosen)})"]


def _pairs(query: str, what: str) -> list[tuple[str, str]]:
    pairs = []
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise CatalogUrlError(f"{what} cannot be read after its ?: {_EXPECTED}.")
        pairs.append((unquote(name), unquote(value)))
    return pairs


def _host_and_port(text: str, what: str) -> tuple[str, str]:
    """A host, which may be an IPv6 address in brackets or a percent-encoded folder of a socket, and its port."""
    host, colon, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    if colon and not port.isdigit() and port:
        raise CatalogUrlError(f"{what} has no number for a port: {_EXPECTED}.")
    return unquote(host.removeprefix("[").removesuffix("]")), port


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
