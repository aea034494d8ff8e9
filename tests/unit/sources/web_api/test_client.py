"""An API that throttles, fails, sends something else or never ends: what is asked again, and what is said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from sources.protocol import SourceError
from sources.web_api.client import ApiClient, ApiRefusedError, ApiUnavailableError, key_from
from tests.http_server import Reply, Request, serving_http

SECRET = "secretkey0123456789"
GOOD = Reply(document={"n": 1})


class Script:
    """Answers in their order; the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Request] = []
        self.waits: list[float] = []
        self.url = ""

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def client(self, **changes: Any) -> ApiClient:
        headers = {"x-api-key": SecretStr(SECRET)}
        return ApiClient(self.url, headers=headers, sleep=self.waits.append, **changes)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script(GOOD)
    with serving_http(script.answer) as url:
        script.url = url
        yield script


@pytest.mark.parametrize(
    "fault",
    [
        Reply(429, {"retry-after": "7"}, {}),
        Reply(599, {}, {}),
        Reply(503, {}, b"down"),
        Reply(200, {}, b'{"n": '),
        Reply(200, {}, b"<html>"),
        Reply(200, {}, {"n": 1}, promised=500),
        Reply(200, {}, b"[" * 100_000),
        Reply(200, {"content-encoding": "gzip"}, b"no gzip"),
    ],
    ids=["429", "599", "503", "broken", "html", "truncated", "deep", "no gzip"],
)
def test_a_passing_fault_is_asked_again(script: Script, fault: Reply) -> None:
    script.replies = [fault, fault, GOOD]
    assert script.client().get("/a", {"x": "1"}) == {"n": "1"}
    assert len(script.asked) == 3
    assert len(script.waits) == 2


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),  # by the server's own clock, which is not ours
        ("soon", 0.5),
        ("nan", 0.5),
    ],
)
def test_a_pause_is_as_long_as_the_server_asks(script: Script, stated: str, expected: float) -> None:
    headers = {"retry-after": stated, "date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    script.replies = [Reply(429, headers, {}), GOOD]
    script.client().get("/a", {})
    assert script.waits == [expected]


def test_a_quota_of_a_month_is_not_waited_for(script: Script) -> None:
    script.replies = [Reply(429, {"retry-after": "86400"}, {})]
    with pytest.raises(ApiUnavailableError, match="asks to wait 86400 s"):
        script.client().get("/a", {})
    assert script.waits == []


def test_a_fault_that_stays_is_an_error_after_some_attempts(script: Script) -> None:
    script.replies = [Reply(599, {}, {})]
    with pytest.raises(ApiUnavailableError, match="HTTP 599"):
        script.client().get("/a", {})
    assert len(script.asked) == 5


def test_a_wrong_key_and_a_refused_question_are_not_asked_again(script: Script) -> None:
    script.replies = [Reply(401, {}, {}), Reply(400, {}, {})]
    with pytest.raises(ApiUnavailableError, match="is the key right"):
        script.client().get("/a", {})
    with pytest.raises(ApiRefusedError, match="HTTP 400"):
        script.client().get("/a", {})
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "where", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "/other"]
)
def test_a_redirect_is_not_followed(script: Script, where: str) -> None:
    script.replies = [Reply(302, {"location": where}, {}), GOOD]
    with pytest.raises(ApiRefusedError, match="redirects are not followed"):
        script.client().get("/a", {})
    assert len(script.asked) == 1


def test_an_answer_has_a_largest_size_and_a_longest_time(script: Script) -> None:
    script.replies = [Reply(200, {}, b" " * 5000 + b"{}")]
    with pytest.raises(ApiRefusedError, match="at most 1,000 bytes"):
        script.client(max_bytes=1000).get("/a", {})
    script.replies = [Reply(200, {}, b" " * 40 + b"{}", slow_s=0.02)]
    with pytest.raises(ApiUnavailableError, match=r"longer than 0\.2 s"):
        script.client(timeout_s=0.2, attempts=1).get("/a", {})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {}, {"error": f"key {SECRET}"}),
        Reply(503, {}, SECRET.encode()),
        Reply(302, {"location": SECRET}, {}),
    ],
)
def test_no_message_and_no_log_line_has_the_key(
    script: Script, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    script.replies = [reply]
    client = script.client()
    with pytest.raises(SourceError) as error:
        client.get("/a", {})
    assert script.asked[0].headers["x-api-key"] == SECRET
    written = f"{error.value!r} {error.value} {client!r} {vars(client)} {caplog.text}"
    assert SECRET not in written


@pytest.mark.parametrize("key", ["with\nline", "schlüssel"])
def test_a_key_that_can_be_none_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(SourceError, match="SOME_KEY") as error:
        key_from("SOME_KEY")
    assert key not in str(error.value)


def test_numbers_keep_their_digits(script: Script) -> None:
    script.replies = [Reply(200, {}, b"[1000000000000000000001, 0.1000000000000000055, NaN, 1e400]")]
    assert script.client().get("/a", {}) == [
        "1000000000000000000001",
        "0.1000000000000000055",
        "NaN",
        "1e400",
    ]
