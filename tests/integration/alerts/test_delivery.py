"""Each incident and its recovery are sent once, to a real HTTP endpoint that fails, throttles, hangs and recovers.

Time is an argument: an outage of an hour is sixty passes with a later `now`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orchestration.alerts.apprise_channel import AppriseChannel, open_apprise_channels
from orchestration.alerts.channels import Channel
from orchestration.alerts.delivery import deliver, retry_dead
from orchestration.alerts.errors import ChannelError, OutboxError
from orchestration.alerts.log_channel import LogChannel
from orchestration.alerts.outbox import raise_alert, resolve_alert, sync_alerts
from orchestration.alerts.policy import AlertPolicy
from orchestration.alerts.store import Outbox

START = datetime.fromisoformat("2026-03-01T12:00:00")
MINUTE = timedelta(minutes=1)


def passes(outbox, channels, start, minutes, policy=None):
    """One delivery pass a minute; returns the time after the last."""
    for minute in range(minutes):
        deliver(outbox, channels, start + minute * MINUTE, policy)
    return start + minutes * MINUTE


def ids(endpoint):
    return [request["delivery_id"] for request in endpoint.accepted]


def test_an_incident_is_sent_once_and_its_recovery_once(outbox, endpoint, alert, tmp_path):
    channels: list[Channel] = [LogChannel(tmp_path / "alerts.log"), AppriseChannel(endpoint.url)]
    for minute in range(5):
        raise_alert(outbox, alert(), START + minute * MINUTE)
        deliver(outbox, channels, START + minute * MINUTE)
    resolve_alert(outbox, alert().key, START + 5 * MINUTE)
    passes(outbox, channels, START + 5 * MINUTE, 3)

    assert endpoint.titles() == [
        "[PAGE] slo/raw_sales_fresh is burning",
        "[RESOLVED] slo/raw_sales_fresh is burning",
    ]
    opened, resolved = endpoint.accepted
    assert opened["idempotency_key"] == opened["delivery_id"] != resolved["delivery_id"]
    assert opened["incident"] == resolved["incident"]
    assert "Runbook: docs/runbook/run-failed.md" in opened["message"]
    assert "Run: assay status" in opened["message"]
    assert opened["type"] == "failure"
    assert resolved["type"] == "success"
    assert len((tmp_path / "alerts.log").read_text().splitlines()) == 2


def test_an_outage_of_an_hour_loses_and_doubles_nothing(outbox, endpoint, alert):
    channels = [AppriseChannel(endpoint.url)]
    endpoint.status = 500
    raise_alert(outbox, alert("slo/short"), START)
    raise_alert(outbox, alert("slo/long"), START)
    now = passes(outbox, channels, START, 20)
    resolve_alert(outbox, "slo/short", now)
    now = passes(outbox, channels, now, 40)
    assert endpoint.accepted == []
    assert len(endpoint.seen) < 40, "waits grow: 60 passes are not 60 attempts for each message"

    endpoint.status = 200
    now = passes(outbox, channels, now, 20)
    assert sorted(endpoint.titles()) == [
        "[PAGE] slo/long is burning",
        "[PAGE] slo/short is burning",
        "[RESOLVED] slo/short is burning",
    ]
    assert endpoint.titles().index("[PAGE] slo/short is burning") < endpoint.titles().index(
        "[RESOLVED] slo/short is burning"
    )
    assert len(set(ids(endpoint))) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_for_everything_at_the_endpoint(outbox, endpoint, alert, status):
    channels = [AppriseChannel(endpoint.url)]
    endpoint.status, endpoint.headers = status, {"Retry-After": "1500"}
    raise_alert(outbox, alert("slo/a"), START)
    deliver(outbox, channels, START)
    raise_alert(outbox, alert("slo/b"), START + MINUTE)
    passes(outbox, channels, START + MINUTE, 24)
    assert len(endpoint.seen) == 1, "nothing is tried before 1,500 s are over"

    endpoint.status, endpoint.headers = 200, {}
    deliver(outbox, channels, START + 26 * MINUTE)
    assert sorted(endpoint.titles()) == ["[PAGE] slo/a is burning", "[PAGE] slo/b is burning"]


def test_throttling_alone_never_makes_a_dead_letter(outbox, endpoint, alert):
    endpoint.status, endpoint.headers = 429, {"Retry-After": "30"}
    channels = [AppriseChannel(endpoint.url)]
    raise_alert(outbox, alert(), START)
    now = passes(outbox, channels, START, 60, AlertPolicy(attempts_failing=3))
    endpoint.status = 200
    deliver(outbox, channels, now, AlertPolicy(attempts_failing=3))
    assert len(endpoint.accepted) == 1


def test_a_hanging_endpoint_does_not_delay_another(outbox, endpoint, second_endpoint, alert):
    endpoint.hangs = threading.Event()
    channels = [AppriseChannel(url, timeout_s=0.5) for url in (endpoint.url, second_endpoint.url)]
    for key in ("slo/a", "slo/b", "slo/c", "slo/d"):
        raise_alert(outbox, alert(key), START)
    report = deliver(outbox, channels, START)
    assert len(second_endpoint.accepted) == 4
    assert report.sent == 4
    assert report.failed == AlertPolicy().failures_per_pass

    endpoint.hangs.set()
    endpoint.hangs = None
    passes(outbox, channels, START + MINUTE, 3)
    assert len(set(ids(endpoint))) == 4
    assert len(second_endpoint.accepted) == 4


SENDS_AND_EXITS = """
import os, sys
from datetime import datetime
from pathlib import Path
from orchestration.alerts import delivery
from orchestration.alerts.apprise_channel import AppriseChannel
from orchestration.alerts.log_channel import LogChannel
from orchestration.alerts.store import Outbox

home, url, now = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])

class ExitsAfterSending:
    def __init__(self, channel):
        self.channel, self.endpoint, self.label = channel, channel.endpoint, channel.label
    def send(self, message, *, is_repeat):
        self.channel.send(message, is_repeat=is_repeat)
        os._exit(9)

channel = AppriseChannel(url) if url != "log" else LogChannel(home / "alerts.log")
delivery.deliver(Outbox.of(home), [ExitsAfterSending(channel)], now)
"""


def _killed_between_sending_and_recording(home: Path, url: str, now: datetime) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SENDS_AND_EXITS, str(home), url, now.isoformat()],
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 9


def test_killed_between_sending_and_recording_the_endpoint_sees_one_id(outbox, endpoint, alert):
    raise_alert(outbox, alert(), START)
    _killed_between_sending_and_recording(outbox.path.parent, endpoint.url, START)
    assert len(endpoint.accepted) == 1

    channels = [AppriseChannel(endpoint.url)]
    deliver(outbox, channels, START + MINUTE)
    assert len(endpoint.accepted) == 1, "the claim of the killed deliverer still holds"
    now = passes(outbox, channels, START + 2 * MINUTE, 10)
    resolve_alert(outbox, alert().key, now)
    passes(outbox, channels, now, 3)

    keys = [request["idempotency_key"] for request in endpoint.accepted]
    assert len(keys) == 3
    assert len(set(keys)) == 2, "the alert twice under one id, the recovery once"
    assert {request["incident"] for request in endpoint.accepted} == {endpoint.accepted[0]["incident"]}


def test_killed_between_writing_and_recording_the_log_has_the_line_once(outbox, alert, tmp_path):
    raise_alert(outbox, alert(), START)
    _killed_between_sending_and_recording(tmp_path, "log", START)
    log = LogChannel(tmp_path / "alerts.log")
    passes(outbox, [log], START + 3 * MINUTE, 3)
    assert len(log.path.read_text().splitlines()) == 1
    assert outbox.rows("select state from deliveries")[0]["state"] == "sent"


def test_a_line_that_was_cut_by_a_crash_does_not_lose_the_next(outbox, alert, tmp_path):
    log = LogChannel(tmp_path / "alerts.log")
    log.path.write_text('{"delivery_id": "cut')
    raise_alert(outbox, alert(), START)
    deliver(outbox, [log], START)
    assert len(log.path.read_text().splitlines()) == 2


def test_deliverers_at_the_same_time_send_nothing_twice(outbox, endpoint, alert, tmp_path):
    keys = [f"slo/{n}" for n in range(12)]
    for key in keys:
        raise_alert(outbox, alert(key), START)

    def one(_: int) -> int:
        channels: list[Channel] = [LogChannel(tmp_path / "alerts.log"), AppriseChannel(endpoint.url)]
        return deliver(Outbox.of(outbox.path.parent), channels, START).sent

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(one, range(4))) == 24
    assert sorted(endpoint.titles()) == sorted(f"[PAGE] {key} is burning" for key in keys)
    assert len(endpoint.seen) == 12
    assert len((tmp_path / "alerts.log").read_text().splitlines()) == 12


def test_a_refused_message_becomes_a_dead_letter_and_others_go_on(outbox, endpoint, alert, tmp_path):
    log = LogChannel(tmp_path / "alerts.log")
    channels: list[Channel] = [log, AppriseChannel(endpoint.url)]
    endpoint.refuse_containing = "poison"
    raise_alert(outbox, alert("slo/poison"), START)
    raise_alert(outbox, alert("slo/wholesome", "ticket"), START)
    deliver(outbox, channels, START)
    assert endpoint.titles() == ["[TICKET] slo/wholesome is burning"]

    now = passes(outbox, channels, START + MINUTE, 60)
    assert [r["state"] for r in outbox.rows("select state from deliveries where attempts > 0")] == ["dead"]
    assert log.path.read_text().count("does not take alerts") == 1
    assert not any("does not take alerts" in title for title in endpoint.titles())

    endpoint.refuse_containing = None
    assert retry_dead(outbox, now) == 1
    passes(outbox, channels, now, 3)
    assert endpoint.titles()[1:] == ["[PAGE] slo/poison is burning"]
    assert '"kind": "resolved"' in log.path.read_text(), "the endpoint takes messages again, and that is sent"


def test_any_text_arrives_as_it_was_except_for_control_characters(outbox, endpoint, alert, tmp_path):
    log = LogChannel(tmp_path / "alerts.log")
    title = "Кошки 🐒 «collection» \u202e <b>&amp;</b> 100 % %s {0}"
    raise_alert(outbox, alert("gate/猫", title=title, body="half a pair: \ud83d\x00 end"), START)
    deliver(outbox, [log, AppriseChannel(endpoint.url)], START)
    assert endpoint.titles() == [f"[PAGE] {title}".replace("\u202e", "\\u202e")]
    assert "half a pair: ?\\x00 end" in endpoint.accepted[0]["message"]
    assert "🐒" in log.path.read_text()


def test_a_url_that_apprise_cannot_use_is_named_without_its_secret():
    with pytest.raises(ChannelError, match="number 2") as caught:
        open_apprise_channels("json://localhost/, https://hooks.example/secret-token")
    assert "secret-token" not in str(caught.value)


def test_a_damaged_outbox_is_reported_with_what_to_do(outbox, alert):
    for suffix in ("-wal", "-shm"):
        outbox.path.with_name(outbox.path.name + suffix).unlink(missing_ok=True)
    outbox.path.write_bytes(b"this is not a database " * 500)
    with pytest.raises(OutboxError, match=r"damaged.*Move it"):
        raise_alert(outbox, alert(), START)
    with pytest.raises(OutboxError, match="damaged"):
        sync_alerts(outbox, "slo", [], START)
    with pytest.raises(OutboxError, match="damaged"):
        Outbox(outbox.path)
