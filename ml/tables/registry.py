"""All tables of the lake, and finding one by its name."""

from __future__ import annotations

from lake.tables import Table
from ml.features import tables as features
from ml.tables import marts, monitoring, ops, ops_models, ops_sources, predictions, raw

TABLES: tuple[Table, ...] = (
    *raw.TABLES,
    *marts.TABLES,
    *features.TABLES,
    *predictions.TABLES,
    *monitoring.TABLES,
    *ops.TABLES,
    *ops_models.TABLES,
    *ops_sources.TABLES,
)
"""What `lake.connection.Lake` is opened with: all of them exist once it is open."""

_BY_NAME = {table.name: table for table in TABLES}


def table(name: str) -> Table:
    """The table of this name (`schema.table`).

    Raises:
        LookupError: No table of this name is declared.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise LookupError(
            f"Expected a table declared in ml/tables; found {name!r}. Check the spelling, or declare it there."
        ) from None
