"""CPU of the commands that only read, of help and of refusals, each in a process of its own as a user starts it.

Here: starting them and what they cost. Not here: what a command imports (the tests of all commands assert that).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import ASSAY


@dataclass(frozen=True)
class Cost:
    """What one call of a command costs.

    Attributes:
        words: What was typed after `assay`.
        cpu_s: Seconds of CPU of the process and its children.
        most_s: What it should cost at most.
    """

    words: str
    cpu_s: float
    most_s: float


HELP_S, READ_S, REFUSAL_S = 0.5, 2.0, 2.0
READS = (
    "value {collection} {token}",
    "list collections",
    "sql 'from marts.dim_collections limit 3'",
    "explain {collection} {token}",
    "portfolio --owner {owner}",
    "gains --owner {owner}",
    "why {collection}",
    "status",
    "alerts",
    "settings",
    "sources",
    "drill --list",
)
REFUSALS = (
    "run --seed 8",
    "value {collection} nope",
    "explain nope 1",
    "why nope",
    "retrain nope --reason x",
    "rollback nope --reason x",
    "backtest --from 2025-02-01 --to 2025-03-01 --out l.parquet --collections nope",
    "tune --market nope",
    "reconcile --table nope",
    "serve --port 99999",
    "ui --port 99999",
    "drill nope",
)


def measure_commands(home: Path) -> Iterator[Cost]:
    """Each command once, after one call that warms the disk's cache.

    Args:
        home: A finished home of the simulator.
    """
    from lake.config import LakeConfig
    from lake.connection import Lake

    with Lake(LakeConfig(home=home)).read() as con:
        owner, collection, token = con.execute(
            "select buyer, collection, token_id from marts.fct_sales where is_arms_length "
            "order by event_time desc, 1 limit 1"
        ).fetchone() or ("", "", "")
    names = {"owner": owner, "collection": collection, "token": token}
    _cpu_seconds("--help", home)
    yield Cost("--help", _cpu_seconds("--help", home), HELP_S)
    for lines, most in ((READS, READ_S), (REFUSALS, REFUSAL_S)):
        for line in lines:
            words = line.format(**names)
            yield Cost(words, _cpu_seconds(words, home), most)


def _cpu_seconds(words: str, home: Path) -> float:
    environment = {**os.environ, "ASSAY_HOME": str(home)}
    before = os.times()
    subprocess.run([ASSAY, *shlex.split(words)], env=environment, capture_output=True, check=False)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
