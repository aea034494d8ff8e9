"""Whether a home can be brought up to a time. Here: the refusal. Not here: the run (`runs.main_job`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.text.times import utc_second
from orchestration.errors import HomeError

if TYPE_CHECKING:
    from datetime import datetime

    from orchestration.resources import Assay


def refuse_to_go_back(assay: Assay, as_of: datetime) -> None:
    """Refuse before anything is changed: a home keeps what it has, and a source has nothing before its first row.

    Raises:
        HomeError: `as_of` is not after the newest sale in the home, or not after the source's first row.
    """
    if newest := newest_sale_after(assay, as_of):
        raise HomeError(
            f"{assay.settings.home_path} has sales known until {utc_second(newest)}; expected an as-of time after "
            f"that, found {utc_second(as_of)}. Give a later time, or value the earlier one in a folder of its own with "
            "--home …"
        )
    first = assay.sources.first_known()
    if as_of <= first:
        raise HomeError(
            f"expected an as-of time after the first row of the sources ({utc_second(first)}), found "
            f"{utc_second(as_of)}"
        )


def newest_sale_after(assay: Assay, as_of: datetime) -> datetime | None:
    """When the newest sale in the home became known; None if that was before `as_of`."""
    with assay.lake.read() as con:
        (known,) = con.execute("select max(known_at) from raw.sales").fetchone() or (None,)
    return known if known is not None and known >= as_of else None
