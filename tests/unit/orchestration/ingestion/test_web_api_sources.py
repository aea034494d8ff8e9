"""Marketplaces and rates in one home: rows, incidents, and a key that is nowhere."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.home import prepare_home
from orchestration.ingestion.assets import ingest
from orchestration.ingestion.configured import describe_sources
from orchestration.ingestion.listed import add_source
from orchestration.resources import Assay, open_sources
from orchestration.settings import load_settings
from sources.contract import RAW_TABLES
from tests.http_server import Reply, Request, serving_http
from tests.market import rates
from tests.market.opensea import ETH, SECRET, SLUG, OpenSea, listed, sale, standing, unix

# Makes a home and runs the asset on it three times.
pytestmark = pytest.mark.slow


def test_a_home_reads_a_marketplace_and_rates_and_keeps_no_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    first = unix(now - timedelta(days=5))
    market = OpenSea(now=now)
    market.events = [sale(first + n * 3600, n % 5, ETH) for n in range(50)]
    market.orders = [standing(listed(first + 1, 1, 2 * ETH, first + 10**7))]

    def answer(request: Request) -> Reply:
        return (
            market.answer(request) if request.path.startswith("/api/") else rates.answer(request, unix(now))
        )

    monkeypatch.setenv("OPENSEA_API_KEY", SECRET)
    monkeypatch.setenv("COINGECKO_API_KEY", SECRET)
    home = tmp_path / "home"
    with serving_http(answer) as url:
        start = (now - timedelta(days=5)).date().isoformat()
        shared = {"url": url, "start": start, "requests_per_second": "0"}
        add_source(load_settings(home=home), {"name": "sea", "kind": "opensea", "slugs": SLUG, **shared})
        for kind, pair in (("coingecko", "ethereum"), ("candles", "ETH-USD")):
            add_source(
                load_settings(home=home), {"name": kind, "kind": kind, "pairs": f"ETH={pair}", **shared}
            )
        assay = Assay(load_settings(home=home))
        prepare_home(assay.settings)
        done = ingest(assay, list(RAW_TABLES))
        assert (done["sales"].rows, done["listings"].rows, done["collections"].rows) == (50, 1, 1)
        assert done["exchange_rates"].rows == 2 * (unix(now) // 3600 - first // 86_400 * 24)
        assert sum(report.quarantined for report in done.values()) == 0
        # Another process: the sources are opened anew.
        open_sources.cache_clear()
        again = ingest(Assay(load_settings(home=home)), ["sales", "listings"])
        assert (again["sales"].days, again["listings"].days) == (0, 0)
        market.fault = lambda r: Reply(599, {"retry-after": "0"}, {}) if "event_type" in r.params else None
        market.now = now + timedelta(seconds=1)
        open_sources.cache_clear()
        broken = Assay(load_settings(home=home))
        ingest(broken, ["sales"])
        states = {
            row["name"]: row["state"] for row in describe_sources(broken.lake, broken.settings.source_configs)
        }
        assert states == {"sea": "answers not believed", "coingecko": "ok", "candles": "ok"}
        with broken.lake.read() as con:
            kinds = con.execute(
                "select kind from ops.source_incidents where closed_at is null order by 1"
            ).fetchall()
    assert kinds == [(f"not_read:{kind}:{SLUG}",) for kind in ("cancel", "order", "sale", "transfer")]
    printed = capfd.readouterr()
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert SECRET.encode() not in kept
    assert SECRET not in printed.out + printed.err + caplog.text
