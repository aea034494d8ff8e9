"""How every command is tried. Here: arguments. Not here: the tests of all commands."""

from __future__ import annotations

from dataclasses import dataclass

OWNER, COLLECTION, TOKEN, NOWHERE = "{owner}", "{collection}", "{token}", "{nowhere}"


@dataclass(frozen=True)
class Walk:
    """How a command is tried.

    Attributes:
        plain: Arguments with which it only reads, and prints; None if it cannot be tried so.
        wrong: Arguments that are refused.
        codes: Exit codes of `plain`.
        as_json: Whether `plain` can be followed by `--json`.
        needs_home: Whether a home that is not there is refused.
        wide: Why it may print lines of more than 80 columns.
    """

    plain: tuple[str, ...] | None
    wrong: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    as_json: bool = True
    needs_home: bool = True
    wide: str = ""


FOUND = (0, 1)
WALKS: dict[str, Walk] = {
    "run": Walk(None, ("--seed", "8"), needs_home=False),
    "value": Walk((COLLECTION, TOKEN), (COLLECTION, "nope"), wide="it is one line, for scripts"),
    "list": Walk(("tokens", "--limit", "3"), ("tokens", "--sort", "nope")),
    "sql": Walk(
        ("select *, [last_sale_at] from marts.dim_collections limit 3",),
        ("drop table marts.dim_collections",),
    ),
    "export": Walk(None, ("nope.nope", "--to", "x.csv")),
    "explain": Walk((COLLECTION, TOKEN), ("nope", "1")),
    "portfolio": Walk(("--owner", OWNER), ("--owner", "nope nope")),
    "gains": Walk(("--owner", OWNER), ("--owner", "nope nope")),
    "backtest": Walk(
        None,
        ("--from", "2025-02-01", "--to", "2025-03-01", "--out", "l.parquet", "--collections", "nope"),
        needs_home=False,
    ),
    "report": Walk(None, ("no-ledger.parquet",), needs_home=False),
    "tune": Walk(None, ("--market", "nope")),
    "ablate": Walk(None, ("--market", "nope")),
    "why": Walk((COLLECTION,), ("nope",)),
    "retrain": Walk(None, ("nope", "--reason", "x")),
    "rollback": Walk(None, ("nope", "--reason", "x")),
    "status": Walk((), ("--nope",), FOUND),
    "alerts": Walk((), ("nope",)),
    "doctor": Walk((), ("--nope",), FOUND),
    "reconcile": Walk(None, ("--table", "nope")),
    "watchdog": Walk(None, ("--nope",)),
    "drill": Walk(("--list",), ("nope",), needs_home=False),
    "backup": Walk(None, (NOWHERE, "--keep", "0")),
    "restore": Walk(None, (NOWHERE,), needs_home=False),
    "replay": Walk(None, ("--rename", "nope")),
    "ui": Walk(None, ("--port", "99999"), needs_home=False),
    "serve": Walk(None, ("--port", "99999")),
    "api keys create": Walk(None, ("partner", "--limit", "nope")),
    "api keys list": Walk((), ("--nope",)),
    "api keys revoke": Walk(None, ("nope",)),
    "mcp": Walk(None, ("--nope",)),
    "metrics": Walk(None, ("--port", "99999")),
    "init": Walk(None, ("no-such-folder/assay.env",), needs_home=False),
    "settings": Walk((), ("--nope",), needs_home=False),
    "sources": Walk((), ("--nope",)),
    "sources add": Walk(None, ("x", "--kind", "nope"), needs_home=False),
    "sources remove": Walk(None, ("nope",)),
    "watch": Walk(None, ("nope",), needs_home=False),
    "files check": Walk(None, (NOWHERE,), needs_home=False),
    "files map": Walk(None, (NOWHERE,), needs_home=False),
    "demo chain": Walk(None, ("--sales", "1"), needs_home=False),
    "prepare": Walk(None, ("--nope",), needs_home=False),
}

READS = [name for name, walk in WALKS.items() if walk.plain is not None]
JSON = [name for name in READS if WALKS[name].as_json]
ARGUMENTS_OF_MISSING = {
    "explain": ("a", "1"),
    "portfolio": ("--owner", f"0x{'1' * 40}"),
    "gains": ("--owner", f"0x{'1' * 40}"),
    "backup": ("folder",),
    "value": ("a", "1"),
    "list": ("tokens",),
    "sql": ("select 1",),
    "export": ("marts.dim_tokens", "--to", "x.csv"),
    "why": ("a",),
    "retrain": ("a", "--reason", "x"),
    "rollback": ("a", "--reason", "x"),
    "api keys create": ("partner",),
    "api keys revoke": ("a",),
    "sources remove": ("a",),
}
