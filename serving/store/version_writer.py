"""Bringing one store file up to date: what has to be written, and the statements that write it.

Here: comparing digests, and SQLite. Not here: reading the lake, or making the file current.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType

import duckdb

from ml.registry.artifacts import ArtifactStore
from serving.store.documents import as_json, with_iso_times
from serving.store.market_documents import market_documents
from serving.store.plan import Contents, Plan, collection_body
from serving.store.reasons import ReasonsConfig, explain_tokens, reasons_digest
from serving.store.schema import FORMAT, INDEXES, create_statements
from serving.store.token_writer import insert_tokens, remove_collection, update_history, update_tokens


class VersionWriter:
    """Writes one unfinished file: copied from the version before, or new. A context manager that closes it."""

    def __init__(self, path: Path, *, is_new: bool) -> None:
        """Open the file; nothing else may read it yet, so it needs no journal and no flush until it is complete."""
        self.rows: Counter[str] = Counter()
        self._is_new = is_new
        self._con = sqlite3.connect(path, isolation_level=None)
        self._con.execute("pragma journal_mode = off")
        self._con.execute("pragma synchronous = off")
        self._con.execute("pragma cache_size = -65536")
        self._con.execute("begin")
        if is_new:
            for statement in create_statements():
                self._con.execute(statement)

    def __enter__(self) -> VersionWriter:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; what was not sealed is thrown away with it."""
        self._con.close()

    def write(
        self,
        con: duckdb.DuckDBPyConnection,
        contents: Contents,
        plan: Plan,
        artifacts: ArtifactStore | None,
        reasons: ReasonsConfig,
    ) -> dict[str, str]:
        """Bring every table up to date.

        Returns:
            Why reasons are missing, by collection.
        """
        for number in plan.gone:
            remove_collection(self._con, number)
        changed = {name: plan.ids[name] for name in plan.tokens}
        if changed:
            write_tokens = insert_tokens if self._is_new else update_tokens
            self.rows["tokens"] = write_tokens(self._con, con, changed)
        if plan.history:
            self.rows["history"] = update_history(
                self._con, con, {name: plan.ids[name] for name in plan.history}
            )
        self._write_collections(con, contents, plan)
        unexplained = (
            {} if artifacts is None else self._write_reasons(con, contents, plan, artifacts, reasons)
        )
        for name, body in contents.documents.items():
            self._upsert("documents", (name, body))
        for name, body in market_documents(con, {name: contents.markets[name] for name in plan.markets}):
            self._upsert("documents", (name, body))
        self._con.executemany("delete from documents where name = ?", [(name,) for name in plan.vanished])
        if self._is_new:
            for statement in INDEXES:
                self._con.execute(statement)
        return unexplained

    def seal(self, version: str, now: float, market_time: datetime) -> None:
        """Say which version this is, and commit."""
        counts = {
            f"rows_{table}": self._con.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("collections", "documents", "explanations")
        }
        meta = {
            "format": FORMAT,
            "version": version,
            "published_at": now,
            "market_time": market_time.isoformat(),
            **counts,
        }
        self._con.executemany(
            "insert or replace into meta values (?, ?)", [(k, str(v)) for k, v in meta.items()]
        )
        self._con.execute("commit")

    def _write_collections(self, con: duckdb.DuckDBPyConnection, contents: Contents, plan: Plan) -> None:
        from ml.explain.track_record import track_records

        due = set(plan.records)
        found = track_records(con, plan.records) if due else {}
        for name, document in contents.collections.items():
            before = plan.stored.get(name)
            if before is None or name in due:
                record = as_json(with_iso_times(found[name].as_dict())).decode() if name in found else "null"
            else:
                record = before.record
            digests = [
                digests.get(name, "") for digests in (contents.tokens, contents.history, contents.records)
            ]
            body = collection_body(document, record)
            number = plan.ids[name]
            if before is None or [before.tokens, before.history, before.records, before.body] != [
                *digests,
                body,
            ]:
                value = document["value_eth"] if document["tokens_valued"] else -1.0
                self._upsert("collections", (number, name, value, *digests, record, body))
            aliases = [(name, "name")]
            if document["contract"]:
                aliases.append((document["contract"].lower(), "contract"))
            # Also a slug that several share: a request by it lists all of them, and none takes over another's.
            if document["slug"]:
                aliases.append((document["slug"], "slug"))
            self._replace_aliases(number, aliases)

    def _replace_aliases(self, number: int, aliases: Iterable[tuple[str, str]]) -> None:
        wanted = set(aliases)
        for alias, kind in self._aliases.get(number, set()) - wanted:
            self._con.execute(
                "delete from aliases where alias = ? and kind = ? and collection = ?", (alias, kind, number)
            )
        for alias, kind in wanted - self._aliases.get(number, set()):
            self._upsert("aliases", (alias, kind, number))

    @property
    def _aliases(self) -> dict[int, set[tuple[str, str]]]:
        if not hasattr(self, "_stored_aliases"):
            self._stored_aliases: dict[int, set[tuple[str, str]]] = {}
            for alias, kind, number in self._con.execute("select alias, kind, collection from aliases"):
                self._stored_aliases.setdefault(number, set()).add((alias, kind))
        return self._stored_aliases

    def _write_reasons(
        self,
        con: duckdb.DuckDBPyConnection,
        contents: Contents,
        plan: Plan,
        artifacts: ArtifactStore,
        config: ReasonsConfig,
    ) -> dict[str, str]:
        from ml.compute.matrix import FeatureMismatchError
        from ml.explain.errors import ExplainError
        from ml.registry.artifacts import ArtifactLostError

        stored = dict(self._con.execute("select collection, max(digest) from explanations group by 1"))
        wanted = {plan.ids[name] for name in contents.explained}
        for number in stored.keys() - wanted:
            self._con.execute("delete from explanations where collection = ?", (number,))
        unexplained = {}
        for name, tokens in contents.explained.items():
            number, digest = plan.ids[name], reasons_digest(contents.tokens[name], tokens, config)
            if stored.get(number) == digest:
                continue
            self._con.execute("delete from explanations where collection = ?", (number,))
            try:
                for token, as_of, body in explain_tokens(con, artifacts, name, tokens, config):
                    self._upsert("explanations", (number, token, digest, as_of, body))
            except (ExplainError, FeatureMismatchError, ArtifactLostError) as error:
                # Estimates without reasons are still estimates; yesterday's reasons would be about other ones.
                self._con.execute("delete from explanations where collection = ?", (number,))
                unexplained[name] = str(error)
        return unexplained

    def _upsert(self, table: str, row: tuple[object, ...]) -> None:
        self._con.execute(f"insert or replace into {table} values ({', '.join('?' * len(row))})", row)
        self.rows[table] += 1
