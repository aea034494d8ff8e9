"""Checkpoints of a running market on disk, so that one more day does not cost the whole year.

Here: writing and finding them. A checkpoint is named by the fingerprint of everything that determines the
market up to its day, so that a longer run or a later fault finds it and another market does not. Files are
written under a temporary name and renamed: a killed process leaves the old ones.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from sources.simulator.config import SimulatorConfig
from sources.simulator.market import MarketState
from sources.simulator.orders import Orders
from sources.simulator.progress import Progress

logger = logging.getLogger(__name__)

_FORMAT = 1
_KEPT = 3


def save_checkpoint(directory: Path, config: SimulatorConfig, progress: Progress) -> None:
    """Write the progress; older checkpoints of the same market than the last few are removed."""
    directory.mkdir(parents=True, exist_ok=True)
    state = progress.state
    target = directory / _name(config, state.day)
    if target.exists():
        return
    arrays = {
        "level": state.level,
        "swing": state.swing,
        "levels": np.array(state.levels),
        "owner": state.owner,
        "recent": state.recent,
        **{f"orders_{name}": column for name, column in vars(state.orders).items()},
    }
    partial = target.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        archive.writestr("state.npz", packed.getvalue())
        archive.writestr("facts.json", json.dumps({"day": state.day, "eth_log": state.eth_log.hex()}))
        for day, tables in progress.pending.items():
            for name, rows in tables.items():
                sink = io.BytesIO()
                with pa.ipc.new_stream(sink, rows.schema) as writer:
                    writer.write_table(rows)
                archive.writestr(f"pending/{day}/{name}", sink.getvalue())
    partial.replace(target)
    mine = sorted((day, path) for day, path in _found(directory) if path.name == _name(config, day))
    for _, old in mine[:-_KEPT]:
        old.unlink(missing_ok=True)


def load_checkpoint(directory: Path, config: SimulatorConfig, *, before: int, after: int) -> Progress | None:
    """The latest checkpoint of this market with after < day <= before, if there is one."""
    for day, path in sorted(_found(directory), reverse=True):
        if after < day <= before and path.name == _name(config, day):
            try:
                return _read(path)
            except (OSError, zipfile.BadZipFile, KeyError, ValueError, EOFError, RuntimeError) as error:
                logger.warning(
                    "Checkpoint %s is damaged and removed; its days are simulated again: %s", path, error
                )
                path.unlink(missing_ok=True)
    return None


def _read(path: Path) -> Progress:
    """A checkpoint. Each part of the archive has a checksum, which reading compares."""
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("facts.json"))
        arrays = np.load(io.BytesIO(archive.read("state.npz")))
        pending: dict[int, dict[str, pa.Table]] = {}
        for name in archive.namelist():
            if name.startswith("pending/"):
                _, arrival, table = name.split("/")
                rows = pa.ipc.open_stream(archive.read(name)).read_all()
                pending.setdefault(int(arrival), {})[table] = rows
    orders = {k.removeprefix("orders_"): arrays[k] for k in arrays.files if k.startswith("orders_")}
    state = MarketState(
        day=int(facts["day"]),
        level=arrays["level"],
        swing=arrays["swing"],
        levels=list(arrays["levels"]),
        owner=arrays["owner"],
        recent=arrays["recent"],
        eth_log=float.fromhex(facts["eth_log"]),
        orders=Orders(**orders),
    )
    return Progress(state, pending)


def _name(config: SimulatorConfig, day: int) -> str:
    return f"market-{_FORMAT}-{config.fingerprint(day)}-{day:05d}.zip"


def _found(directory: Path) -> list[tuple[int, Path]]:
    return [(int(p.stem.rsplit("-", 1)[1]), p) for p in directory.glob(f"market-{_FORMAT}-*.zip")]
