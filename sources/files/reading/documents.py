"""JSON: documents, arrays, lines, and answers of an API whose rows are under a key.

Here: finding the rows and flattening them (`token.contract` of an answer is the column `token.contract`). Not here:
what the columns mean. Numbers are taken over as text, so that an id of 78 digits keeps them all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from sources.files.errors import UnreadableFileError
from sources.files.reading.encodings import as_utf8, unpack
from sources.files.reading.tables import ROW, Broken, FileRows, unique_names
from sources.values import connect, quote, quote_name

_MAX_DEPTH = 5
_ITSELF = "$"
_MAX_COLUMNS = 300
_NO_ROWS = ("attributes", "traits")
_WRAPPERS = ("node.", "_source.", "fields.", "record.")


class _List(NamedTuple):
    """A list within a document: its JSON path, its length, and whether it is one of objects."""

    path: str
    length: int
    of_objects: bool


class _Digits(str):
    """A number as it is written: an id of 78 digits, or a price, keeps them all."""


def read_document(path: Path) -> dict[str, FileRows]:
    """Read a JSON or JSON Lines file into one row for each object.

    Rows are numbered by line when every line is an object that is a row, else by position from 0.

    Returns:
        Key → rows of the list under it, the list that the document is about first. The only list has an empty key.

    Raises:
        UnreadableFileError: If it is no JSON, or no list of objects is in it.
    """
    content, _, _ = as_utf8(path)
    if content is None:
        with unpack(path) as stream:
            content = bytes(stream.read())
    with connect() as con:
        broken = _load(con, content.decode("utf-8-sig", "replace"), path.name)
        by_line, where, others = _rows(con, path.name)
        beside = [other for other in others if other.of_objects]
        unread = [_key(other.path) for other in others if not other.of_objects]
        notes = [f"rows are under {where}"] if where else []
        notes += [f"lists that are not read: {', '.join(unread)}"] if unread else []
        read = {where if beside else "": _numbered(con, by_line, broken, tuple(notes))}
        for other in beside:
            _find(con, other.path)
            read[_key(other.path)] = _numbered(con, False, (), ())
        return read


def _numbered(
    con: duckdb.DuckDBPyConnection, by_line: bool, broken: Broken, notes: tuple[str, ...]
) -> FileRows:
    """The rows of temp table `found`."""
    number = "line" if by_line else "row_number() over (order by line, position) - 1"
    con.execute(
        f"create or replace temp table numbered as select {number} as n, j from found order by line, position"
    )
    table = _flatten(con)
    names, repeated = unique_names(table.column_names)
    return FileRows(table.rename_columns(names), broken, notes, repeated)


def _load(con: duckdb.DuckDBPyConnection, content: str, name: str) -> Broken:
    """Temp table `documents` (line, j); returns lines that are no JSON."""
    stripped = content.strip()
    if not stripped:
        raise UnreadableFileError(f"{name}: expected JSON, found an empty file; write the file again")
    lines = pa.table({"text": pa.array(content.split("\n"), pa.string())})
    con.register("lines", lines)
    con.execute(
        """create temp table parsed as select line, text, try_cast(text as json) as j from (
            select row_number() over () as line, text from lines) where trim(text, ' \r\t') <> ''"""
    )
    counted = con.execute("select count(*), count(j) from parsed").fetchone()
    assert counted is not None
    if counted[1] >= 1 and counted[1] * 2 > counted[0] and counted[0] > 1:
        con.execute("create temp table documents as select line, j from parsed where j is not null")
        wrong = con.execute("select line, left(text, 200) from parsed where j is null").fetchall()
        return tuple((int(line), "wrong_field_count", "a JSON object", text) for line, text in wrong)
    try:
        con.execute("create temp table documents as select 1 as line, $text::json as j", {"text": stripped})
    except duckdb.Error as error:
        if several := _one_after_another(stripped):
            con.register(
                "texts", pa.table({"line": pa.array([n for n, _ in several]), "j": [t for _, t in several]})
            )
            con.execute("create temp table documents as select line, j::json as j from texts")
            return ()
        raise UnreadableFileError(
            f"{name}: expected JSON or one JSON object per line, found: {str(error).splitlines()[0][:160]};"
            " write the file again"
        ) from None
    return ()


def _rows(con: duckdb.DuckDBPyConnection, name: str) -> tuple[bool, str, list[_List]]:
    """Temp table `found` (line, position, j), one row per object.

    Returns:
        Whether a line is a row, the key of the rows, and the other lists of the documents.
    """
    sample = [
        json.loads(j, parse_int=_Digits, parse_float=_Digits)
        for (j,) in con.execute("select j from documents limit 20").fetchall()
    ]
    several = con.execute("select count(*) from documents").fetchone()
    lines = bool(several and several[0] > 1)
    if not lines and (named := _reshape(con, sample[0])):
        return False, named, []
    if not lines and isinstance(sample[0], list) and all(isinstance(item, dict) for item in sample[0]):
        # A list of answers, each with its list of rows.
        path = _path_of_rows(sample[0][0]) if sample[0] else None
        if path and all(_path_of_rows(item) == path and _is_answer(item, path) for item in sample[0]):
            con.execute(
                "create or replace temp table documents as"
                " select line, unnest(json_extract(j, '$[*]')) as j from documents"
            )
            lines, sample = True, sample[0]
    # Lines that are objects are rows, unless they are answers: lists of objects are then their largest part.
    path = _path_of_rows(sample[0])
    if lines and path and path != _ITSELF and not _is_answer(sample[0], path):
        path = ""
    if path is None:
        raise UnreadableFileError(
            f"{name}: expected a list of objects, or one under a key, found {type(sample[0]).__name__};"
            " save the list of rows"
        )
    if path == "":
        con.execute("create temp table found as select line, 0 as position, j from documents")
        return lines, "", []
    _find(con, path)
    lists = {one.path: one for document in sample if isinstance(document, dict) for one in _lists(document)}
    return False, _key(path), [one for one in lists.values() if one.path != path]


def _find(con: duckdb.DuckDBPyConnection, path: str) -> None:
    """Temp table `found` of the list at a path of the documents."""
    con.execute(
        f"""create or replace temp table found as
        select line, unnest(range(len(items))) as position, unnest(items) as j
        from (select line, json_extract(j, {quote(path + "[*]")}) as items from documents)"""
    )


def _key(path: str) -> str:
    return path.removeprefix("$").lstrip(".").replace('"', "")


def _named_as_sales(path: str) -> bool:
    """Whether the last key says that its list is one of sales: it comes before longer ones."""
    return path.rpartition('."')[2].strip('"').lower() in ("sales", "trades", "nftsales")


def _one_after_another(text: str) -> list[tuple[int, str]]:
    """Documents that follow one another, with the line on which each begins; empty when it is something else."""
    decoder, found, at, line = json.JSONDecoder(), [], 0, 1
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        found.append((line, text[at:end]))
        after = end
        while after < len(text) and text[after] in " \t\r\n,":
            after += 1
        line += text.count("\n", at, after)
        at = after
    return found if len(found) > 1 else []


def _reshape(con: duckdb.DuckDBPyConnection, document: Any) -> str:
    """Temp table `found` of a document that is a table in another shape; what shape, empty when it is none.

    A column each (`{"price": {"0": 1.5, …}, …}`, as pandas writes it), a row each under its own key, or lists of values
    beside their names (`{"columns": […], "data": [[…], …]}`).
    """
    rows, shape = _as_rows(document)
    if rows:
        con.register("rows", pa.table({"j": [json.dumps(row) for row in rows]}))
        con.execute(
            "create temp table found as select 1 as line, row_number() over () - 1 as position, j::json as j from rows"
        )
    return shape if rows else ""


def _as_rows(document: Any) -> tuple[list[dict[str, Any]], str]:
    if not isinstance(document, dict):
        return [], ""
    values = list(document.values())
    if len(values) > 1 and all(isinstance(v, dict) and v for v in values):
        keys = values[0].keys()
        same = all(v.keys() == keys for v in values) and not any(
            isinstance(x, dict) for v in values for x in v.values()
        )
        if same and all(k.isdigit() for k in keys):
            return [{n: column[k] for n, column in document.items()} for k in keys], "columns"
        if len(values) > 2 and len({frozenset(v) for v in values}) <= 3 and len(keys) > 2:
            return values, "keys of their own"
    for parent in (document, *(v for v in values if isinstance(v, dict))):
        lists = [v for v in parent.values() if isinstance(v, list) and v]
        tables = [v for v in lists if all(isinstance(row, list) for row in v)]
        for names in (_names(v) for v in lists):
            for table in tables:
                if names and all(len(row) == len(names) for row in table):
                    return [dict(zip(names, row, strict=True)) for row in table], "lists beside their names"
    return [], ""


def _names(items: list[Any]) -> list[str]:
    """Names of columns: texts, or objects with a name each."""
    names = [i.get("name") or i.get("label") if isinstance(i, dict) else i for i in items]
    texts = [n for n in names if isinstance(n, str)]
    return texts if len(set(texts)) == len(names) else []


def _is_answer(document: Any, path: str) -> bool:
    """Whether the list is the document's point: there is hardly anything beside it."""
    return path.count('."') == 1 and len(document) <= 4


def _path_of_rows(document: Any) -> str | None:
    """JSON path of the list of rows: the document itself, or the longest list of objects or lists under a key.

    Empty when the document is a row itself; None when there are no rows.
    """
    if isinstance(document, list):
        return _ITSELF if document else None
    if not isinstance(document, dict):
        return None
    lists = sorted(_lists(document), key=lambda one: (not _named_as_sales(one.path), -one.length))
    return lists[0].path if lists else ""


def _lists(document: dict[str, Any], path: str = _ITSELF, depth: int = 3) -> list[_List]:
    found = []
    for key, value in document.items():
        below = f'{path}."{key}"'
        if key in _NO_ROWS:
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict | list):
            found.append(_List(below, len(value), isinstance(value[0], dict)))
        elif isinstance(value, dict) and depth > 1:
            found += _lists(value, below, depth - 1)
    return found


def _flatten(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """The found objects as columns of text: objects within them by their path, lists as JSON."""
    row = con.execute("select json_group_structure(j) from numbered").fetchone()
    structure = json.loads(row[0]) if row and row[0] else {}
    leaves = _unwrapped(_leaves(structure, "$", "", _MAX_DEPTH)[:_MAX_COLUMNS])
    selected = ", ".join(
        f"json_extract_string(j, {quote(path)}) as {quote_name(name)}" for path, name in leaves
    )
    query = f"select {selected + ', ' if selected else ''}n as {ROW} from numbered order by n"
    return con.execute(query).to_arrow_table()


def _unwrapped(leaves: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The leaves without a word that stands before nearly all of them (`node.` of GraphQL, `_source.`)."""
    for word in _WRAPPERS:
        within = [name for _, name in leaves if name.startswith(word)]
        if within and len(leaves) - len(within) <= 5:
            return [(path, name.removeprefix(word)) for path, name in leaves]
    return leaves


def _leaves(structure: Any, path: str, name: str, depth: int) -> list[tuple[str, str]]:
    if isinstance(structure, dict) and depth:
        return [
            leaf
            for key, value in structure.items()
            for leaf in _leaves(value, f'{path}."{key}"', f"{name}.{key}" if name else key, depth - 1)
        ]
    if isinstance(structure, list) and not name:
        # Rows that are lists, as CoinGecko's [time, price].
        return [(f"$[{i}]", f"column_{i + 1}") for i in range(6)]
    return [(path, name)] if name else []
