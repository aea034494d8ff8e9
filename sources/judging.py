"""Reading the columns of candidate rows as the contract's types, and judging them by the rules.

Here: how the rules are run, so that a value that repeats is judged once, and a column that is as it should be costs one
test. Not here: the rules themselves (`sources.rules`), and what becomes of a row (`sources.validation`).

A column goes one of three ways. Text of which few values are distinct: the distinct values are read and judged, side by
side with those of the other columns. A column that is already of its type, or text in its one canonical form: one
aggregate finds that no rule is broken, and it goes on as it is. All others are cleaned, read and judged row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import Column, RawTable
from sources.currencies import MAX_PRICE, SYMBOL_BY_SPELLING
from sources.distinct import coded, side_by_side, whole
from sources.rules import SIDE_WORDS, SQL_TYPES, Rule, cleaned_text, not_canonical, typed
from sources.values import cleaned, connect, is_text, quote, quote_name

_NUMBER = pa.int32()


@dataclass(frozen=True)
class Judged:
    """Rows that were read and judged.

    Attributes:
        values: The contract's columns, in the order of the candidates.
        broken: Number of the first rule that a row breaks, null where it breaks none; None when no row breaks any.
    """

    values: pa.Table
    broken: pa.Array | None


def judge(
    contract: RawTable,
    candidate: pa.Table,
    originals: Mapping[str, str],
    rules: Sequence[Rule],
    *,
    now: datetime,
) -> Judged:
    """Read the candidate's columns as the contract's types and judge each row by the rules.

    Args:
        contract: Table that the rows are meant for.
        candidate: Rows with contract column names; times are no text any more.
        originals: Contract column → candidate column that holds it as it was delivered.
        rules: Rules in the order in which they count.
        now: Instant (UTC, naive) after which an event is in the future.
    """
    with connect() as con:
        return _Judge(con, contract, candidate, originals, rules, now).run()


@dataclass
class _Judge:
    con: duckdb.DuckDBPyConnection
    contract: RawTable
    candidate: pa.Table
    originals: Mapping[str, str]
    rules: Sequence[Rule]
    now: datetime
    values: dict[str, pa.Array] = field(default_factory=dict)
    broken: list[pa.Array] = field(default_factory=list)

    def run(self) -> Judged:
        self._set_words()
        delivered = [c for c in self.contract.columns if c.name in self._types]
        self._judge_absent()
        rest = self._judge_distinct(delivered)
        rest = self._pass_ready(rest)
        self._judge_rows(rest)
        self._judge_across()
        values = pa.table({name: self.values[name] for name in self.contract.names})
        if not self.broken:
            return Judged(values, None)
        return Judged(values, pc.min_element_wise(*self.broken))

    @cached_property
    def _types(self) -> dict[str, pa.DataType]:
        return {f.name: f.type for f in self.candidate.schema}

    def _set_words(self) -> None:
        """The variables that rules and typed values look words up in."""
        spelling = _map_literal((k, quote(v)) for k, v in SYMBOL_BY_SPELLING.items())
        words = _map_literal((k, quote(v)) for k, v in SIDE_WORDS.items())
        most = _map_literal((k, f"{v!r}::double") for k, v in MAX_PRICE.items())
        for name, literal in (("spelling", spelling), ("words", words), ("most", most)):
            self.con.execute(f"set variable {name} = {literal}")

    def _rules(self, column: str) -> dict[int, Rule]:
        """The rules that ask for this column alone, by number."""
        return {n: r for n, r in enumerate(self.rules) if r.column == column and not r.beside}

    def _asks_original(self, column: str) -> bool:
        """Whether a value that cannot be read can be distinguished from one that was not given by another column."""
        return column in self.originals and any(r.asks_given for r in self._rules(column).values())

    def _judge_absent(self) -> None:
        """Columns that were not delivered: no value, which breaks a rule of every row where one is required."""
        rows = self.candidate.num_rows
        for column in self.contract.columns:
            if column.name in self._types:
                continue
            self.values[column.name] = pa.nulls(rows, column.dtype)
            for number, rule in self._rules(column.name).items():
                if rule.reason in ("missing_column", "null_key"):
                    self.broken.append(pa.array(np.full(rows, number), _NUMBER))

    def _judge_distinct(self, columns: list[Column]) -> list[Column]:
        """Judge the distinct values of columns that have few; returns the other columns."""
        codes_of: dict[str, pa.DictionaryArray] = {}
        for column in columns:
            texts = self.candidate.column(column.name)
            if is_text(texts.type) and column.name != "token_id" and not self._asks_original(column.name):
                codes = coded(texts)
                if codes is not None:
                    codes_of[column.name] = codes
        if codes_of:
            chosen = [c for c in columns if c.name in codes_of]
            read = self._read(chosen, side_by_side(codes_of))
            for name, codes in codes_of.items():
                size = len(codes.dictionary)
                values, broken = (read.column(f"{k}_{name}").combine_chunks()[:size] for k in "tb")
                self._keep(name, values.take(codes.indices), broken, codes.indices)
        return [c for c in columns if c.name not in codes_of]

    def _pass_ready(self, columns: list[Column]) -> list[Column]:
        """Take over columns that are as they should be; returns the other columns."""
        doubts: dict[str, str] = {}
        for column in columns:
            values = self.candidate.column(column.name)
            if values.type != column.dtype or (values.null_count and self._asks_original(column.name)):
                continue
            if values.null_count and column.required:
                continue
            name = quote_name(column.name)
            if column.dtype == pa.string():
                doubt = not_canonical(column, name)
            else:
                broken = [r.broken for r in self._rules(column.name).values() if not r.asks_given]
                doubt = " or ".join(broken) or "false"
                doubt = doubt.replace(f"t_{column.name}", name)
                doubt += f" or isnan({name})" if column.dtype == pa.float64() else ""
            doubts[column.name] = doubt
        if not doubts:
            return columns
        self.con.register("ready", self.candidate.select(list(doubts)))
        tests = ", ".join(f"coalesce(bool_or({d}), false)" for d in doubts.values())
        uses_now = {"now": self.now} if "$now" in tests else {}
        row = self.con.execute(f"select {tests} from ready", uses_now).fetchone()
        assert row is not None
        passed = {name for name, doubt in zip(doubts, row, strict=True) if not doubt}
        for name in passed:
            self.values[name] = whole(self.candidate.column(name))
        return [c for c in columns if c.name not in passed]

    def _judge_rows(self, columns: list[Column]) -> None:
        """Clean, read and judge every row of these columns."""
        if not columns:
            return
        rows, names = self.candidate, [c.name for c in columns]
        if "token_id" in names:
            # Ids are numbers on some chains only: the chain comes first.
            first = [c for c in columns if c.name == "chain"]
            self._judge_rows(first)
            columns = [c for c in columns if c not in first]
            chain = self.values.get("chain", pa.nulls(rows.num_rows, pa.string()))
            rows = rows.append_column("t_chain", chain)
        read = self._read(columns, rows)
        for column in columns:
            values, broken = (whole(read.column(f"{k}_{column.name}")) for k in "tb")
            self._keep(column.name, values, broken)

    def _keep(self, name: str, values: pa.Array, broken: pa.Array, indices: pa.Array | None = None) -> None:
        self.values[name] = values
        if broken.null_count < len(broken):
            self.broken.append(broken.take(indices) if indices is not None else broken)

    def _read(self, columns: list[Column], rows: pa.Table) -> pa.Table:
        """`t_<column>`, the values as the contract's types, and `b_<column>`, the number of the first broken rule.

        In steps that build on one another: an expression that repeats itself would be planned for seconds.
        """
        chosen = RawTable(self.contract.name, "", (), tuple(columns))
        texts = cleaned_text(chosen, self._types)
        given: dict[str, str] = {}
        for column in columns:
            if any(r.asks_given for r in self._rules(column.name).values()):
                if f"w_{column.name}" in texts and column.name not in self.originals:
                    given[column.name] = f"w_{column.name}"
                else:
                    source = quote_name(self.originals.get(column.name, column.name))
                    texts[f"given_{column.name}"] = f"{source}::varchar"
                    given[column.name] = f"given_{column.name}"
        words = cleaned("candidate", texts)
        values = [f"{typed(c, self._types)} as t_{c.name}" for c in columns]
        values += [f"{name} is not null as g_{column}" for column, name in given.items()]
        verdicts = []
        for column in columns:
            tests = " ".join(f"when {r.broken} then {n}" for n, r in self._rules(column.name).items())
            verdicts.append(f"(case {tests} end)::integer" if tests else "null::integer")
        columns_sql = ", ".join(
            f"t_{c.name}::{SQL_TYPES[c.dtype]} as t_{c.name}, {v} as b_{c.name}"
            for c, v in zip(columns, verdicts, strict=True)
        )
        query = f"with cleaned as ({words}), typed as (select *, {', '.join(values)} from cleaned)"
        query += f" select {columns_sql} from typed"
        self.con.register("candidate", rows)
        try:
            return self.con.execute(query, {"now": self.now} if "$now" in query else {}).to_arrow_table()
        finally:
            self.con.unregister("candidate")

    def _judge_across(self) -> None:
        """The rules that compare columns with one another."""
        across = {
            n: r for n, r in enumerate(self.rules) if r.beside and {r.column, *r.beside} <= self.values.keys()
        }
        if not across:
            return
        names = sorted({name for r in across.values() for name in (r.column, *r.beside)})
        columns = {f"t_{name}": self.values[name] for name in names if name != "currency"}
        if "currency" in names:
            columns["most"] = _most(self.values["currency"])
        self.con.register("beside", pa.table(columns))
        found = self.con.execute(
            f"select bool_or({' or '.join(f'coalesce({r.broken}, false)' for r in across.values())}) from beside"
        ).fetchone()
        if found is not None and found[0]:
            tests = " ".join(f"when {r.broken} then {n}" for n, r in across.items())
            read = self.con.execute(f"select (case {tests} end)::integer as b from beside").to_arrow_table()
            self.broken.append(whole(read.column("b")))


def _map_literal(pairs: Iterable[tuple[str, str]]) -> str:
    return "map {" + ", ".join(f"{quote(k)}: {v}" for k, v in pairs) + "}"


def _most(symbols: pa.Array) -> pa.Array:
    """The highest price that is possible in each row's currency."""
    codes = pc.dictionary_encode(symbols)
    highest = pa.array([MAX_PRICE.get(s) for s in codes.dictionary.to_pylist()], pa.float64())
    return highest.take(codes.indices)
