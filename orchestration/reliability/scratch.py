"""Settings of a home that is made to try something out.

Here: what keeps it apart from everything real. Not here: what is tried (`orchestration.reliability.drills`,
`orchestration.reliability.chain_demo`).
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.settings import PREFIX, Settings

_OF_THE_MACHINE = ("threads", "memory_limit", "lock_timeout_s", "fit_time_limit_s")


def scratch_settings(home: Path, **chosen: object) -> Settings:
    """The settings of a scratch home.

    No `ASSAY_*` of the caller counts but those that say how much of the machine may be used, so that none reaches a
    real catalog, registry, store or endpoint.

    Args:
        home: The home.
        chosen: Settings that are not at their default.
    """
    given = {name: os.environ.get(PREFIX + name.upper()) for name in _OF_THE_MACHINE}
    machine = {name: value for name, value in given.items() if value}
    fixed = {"home": home, "log_level": "CRITICAL", **machine, **chosen}
    return Settings(_env_prefix=f"{PREFIX}SCRATCH_", **fixed)  # type: ignore[arg-type]
