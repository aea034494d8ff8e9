"""A secret in every setting that may hold one, and a search for them in everything Assay prints, writes and sends.

    python -m benchmarks.planted_secrets        # writes docs/measured/secrets.json

Here: what is planted, the commands, the search. `tests/integration/alerts/test_secrets.py` uses the same. A first home
has all of them, and its commands fail at the catalog; a second one has those that a run on this machine needs no
server for, and its commands succeed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from orchestration.output.masking import SECRET_VARIABLES
from orchestration.reliability.measured import Figure, write_measurement

ASSAY = str(Path(sys.executable).parent / "assay")

# With what a URL has to encode, and without: a piece that is found shows that the rest was printed too.
SECRETS = {
    "ASSAY_CATALOG_URL": "Pl4nted-catalog:w/rd@'x",
    "ASSAY_MLFLOW_URL": "Pl4nted-registry%41",
    "ASSAY_DAGSTER_URL": "Pl4nted-history:w/rd@'x",
    "ASSAY_ALERT_URLS": "Pl4nted-alert-token-7",
    "ASSAY_DEADMAN_URL": "Pl4nted-deadman-uuid-8",
    "ASSAY_SERVING_STORE": "Pl4nted-store;pass=word",
    "ASSAY_API_LIMITS_URL": "Pl4nted-limits&9",
    "ASSAY_RPC_URLS": "Pl4nted-node-key-0a1b2c",
    "ASSAY_S3_ACCESS_KEY_ID": "Pl4nted-store-user",
    "ASSAY_S3_SECRET_ACCESS_KEY": "Pl4nted-store-key/+=",
}
PLANTED = re.compile(rb"pl4nted", re.IGNORECASE)

NEED_A_SERVER = frozenset(
    {"ASSAY_CATALOG_URL", "ASSAY_MLFLOW_URL", "ASSAY_DAGSTER_URL", "ASSAY_SERVING_STORE"}
)
"""With these settings a run connects, or fails."""

FAILING = (
    ["run"],
    ["settings"],
    ["settings", "--json"],
    ["status"],
    ["why", "x"],
    ["watchdog"],
    ["doctor"],
    ["alerts", "test"],
    ["alerts", "deliver"],
)
SUCCEEDING = (
    ["run"],
    ["settings"],
    ["settings", "--json"],
    ["sql", "select 1"],
    ["status"],
    ["doctor"],
    ["watchdog"],
    ["alerts", "test"],
    ["alerts", "deliver"],
    ["api", "keys", "list"],
)


def planted(port: int = 1, alerts: str = "json://127.0.0.1:1/") -> dict[str, str]:
    """Every secret setting with its secret; nothing answers at the addresses unless they are given.

    Args:
        port: Port of the PostgreSQL server on this machine.
        alerts: Beginning of the alert address.
    """
    secret = {name: quote(text, safe="") for name, text in SECRETS.items()}
    token = secret["ASSAY_ALERT_URLS"]
    return {
        "ASSAY_CATALOG_URL": f"postgresql://assay:{secret['ASSAY_CATALOG_URL']}@127.0.0.1:{port}/assay",
        "ASSAY_MLFLOW_URL": f"http://user:{secret['ASSAY_MLFLOW_URL']}@127.0.0.1:1",
        "ASSAY_DAGSTER_URL": f"postgresql://assay:{secret['ASSAY_DAGSTER_URL']}@127.0.0.1:{port}/history",
        "ASSAY_ALERT_URLS": f"{alerts}{token}/hook?+x={token}",
        "ASSAY_DEADMAN_URL": f"http://127.0.0.1:1/ping/{secret['ASSAY_DEADMAN_URL']}",
        "ASSAY_SERVING_STORE": f"postgresql://assay:{secret['ASSAY_SERVING_STORE']}@127.0.0.1:{port}/store",
        "ASSAY_API_LIMITS_URL": f"redis://:{secret['ASSAY_API_LIMITS_URL']}@127.0.0.1:1/0",
        "ASSAY_RPC_URLS": f"http://127.0.0.1:1/v3/{secret['ASSAY_RPC_URLS']}",
        "ASSAY_S3_ACCESS_KEY_ID": SECRETS["ASSAY_S3_ACCESS_KEY_ID"],
        "ASSAY_S3_SECRET_ACCESS_KEY": SECRETS["ASSAY_S3_SECRET_ACCESS_KEY"],
    }


def found_in(folder: Path, printed: Sequence[str] = ()) -> list[str]:
    """Where a planted secret is, plain or percent-encoded: files of the folder, or `printed 3` for the third text.

    Packed files are searched as they are: Parquet and gzip hide a text from this search.
    """
    places = [  # once for each text
        f"printed {number}: …{form[max(0, hit.start() - 80) : hit.end() + 40]!r}"
        for number, text in enumerate(printed, 1)
        for form in (text, unquote(text))
        if (hit := PLANTED.search(form.encode()))
    ]
    return places + [
        str(path) for path in folder.rglob("*") if path.is_file() and PLANTED.search(path.read_bytes())
    ]


def run_commands(commands: Sequence[Sequence[str]], settings: dict[str, str]) -> list[str]:
    """Standard output and error of each command in turn."""
    printed = []
    for command in commands:
        done = subprocess.run(
            [ASSAY, *command],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **settings},
            timeout=900,
        )
        printed += [done.stdout, done.stderr]
    return printed


def main() -> int:
    """Plant, run, search, and keep the result; 1: a secret was found."""
    assert set(SECRETS) == set(SECRET_VARIABLES), "a secret setting is not planted"
    market = {"ASSAY_COLLECTIONS": "6", "ASSAY_DAYS": "60", "ASSAY_REFITS": "2", "ASSAY_LOG_LEVEL": "DEBUG"}
    everything = planted()
    harmless = {name: value for name, value in everything.items() if name not in NEED_A_SERVER}
    with tempfile.TemporaryDirectory(prefix="assay-secrets-") as scratch:
        homes = Path(scratch)
        printed = run_commands(FAILING, {**market, **everything, "ASSAY_HOME": str(homes / "failing")})
        backup = ["backup", str(homes / "backups")]
        succeeded = run_commands(
            [*SUCCEEDING, backup], {**market, **harmless, "ASSAY_HOME": str(homes / "finished")}
        )
        assert "MdAPE" in succeeded[0] or "median" in succeeded[0].lower(), succeeded[1][-2000:]
        printed += succeeded
        files = sum(path.is_file() for path in homes.rglob("*"))
        found = found_in(homes, printed)
    for place in found:
        print(f"found: {place}")
    path = write_measurement(
        "secrets",
        "python -m benchmarks.planted_secrets",
        [
            Figure("secrets planted, one in every setting that may hold one", str(len(SECRETS))),
            Figure("commands run, failing and succeeding", str(len(FAILING) + len(SUCCEEDING) + 1)),
            Figure("files and printed texts searched", f"{files + len(printed):,}"),
            Figure("places where a secret was found", str(len(found)), "0", met=not found),
        ],
        ["Parquet and other packed files are searched as bytes."],
    )
    print(f"{len(found)} found in {files} files and {len(printed)} texts; {path} written")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
