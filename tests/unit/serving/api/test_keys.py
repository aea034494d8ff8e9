"""Who may ask, and how often."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.api.keys import FILE, KeyFile, KeyFileError, keys_folder
from serving.api.limiting import Limiter, LimitError, parse_limit
from tests.unit.serving.market import Market

pytestmark = pytest.mark.slow

PATHS = (
    "/v1/tokens/Apes/1", "/v1/collections", "/v1/status", "/metrics", "/openapi.json", "/v1/tokens/no/1", "/nowhere",
)  # fmt: skip


@pytest.fixture
def guarded(market: Market, tmp_path: Path) -> Path:
    """A published store in a home of its own, so that its keys are its own."""
    market.publish(tmp_path / "serving")
    return tmp_path / "serving"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "api")


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_without_a_good_key_there_is_nothing(
    guarded: Path, keys: KeyFile, client_of: Callable[..., TestClient]
) -> None:
    good, _ = keys.create("me")
    revoked, made = keys.create("you")
    keys.revoke(made.id)
    with client_of(guarded, anonymous=False) as client:
        for path in PATHS:
            bad = [
                {},
                {"authorization": "Basic eDp5"},
                {"authorization": good},
                {"x-api-key": revoked},
                *map(bearer, (revoked, "assay_guess", "", made.digest, "\xff\xfe")),
            ]
            for headers in bad:
                response = client.get(
                    path, headers={k.encode(): v.encode("latin-1") for k, v in headers.items()}
                )
                assert (response.status_code, response.json()["type"]) == (
                    401,
                    "urn:assay:problem:unauthorized",
                )
                assert response.headers["www-authenticate"] == "Bearer"
                assert "Apes" not in response.text
        assert client.get(PATHS[0], headers=bearer(good)).status_code == 200
        assert client.get(PATHS[0], headers={"x-api-key": good}).status_code == 200
        assert client.get(PATHS[0], headers=bearer(good)).headers["cache-control"] == "private, max-age=30"
        for path in ("/healthz", "/readyz"):
            assert client.get(path).status_code == 200


def test_a_key_that_is_revoked_stops_working_at_once(
    guarded: Path, keys: KeyFile, client_of: Callable[..., TestClient]
) -> None:
    text, key = keys.create("me")
    with client_of(guarded, anonymous=False) as client:
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 200
        keys.revoke(key.id)
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401
        other, _ = keys.create("other")
        assert client.get(PATHS[0], headers=bearer(other)).status_code == 200


def test_a_revoked_key_is_worth_less_than_none(
    guarded: Path, keys: KeyFile, client_of: Callable[..., TestClient]
) -> None:
    text, key = keys.create("me")
    keys.revoke(key.id)
    with client_of(guarded) as client:
        assert client.get(PATHS[0]).status_code == 200
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401


def test_a_key_is_256_bits_and_kept_as_a_digest_that_only_the_owner_reads(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    texts = {keys.create(f"user {number}")[0] for number in range(3)}
    assert len(texts) == 3
    assert all(len(text.removeprefix("assay_")) == 43 for text in texts)
    stored = (tmp_path / FILE).read_text()
    assert not any(text in stored or text.removeprefix("assay_") in stored for text in texts)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_an_unknown_id_and_a_broken_file_are_reported(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    with pytest.raises(KeyFileError, match="assay api keys list"):
        keys.revoke("nobody")
    (tmp_path / FILE).write_text("{")
    for action in (keys.all, lambda: keys.create("x"), lambda: keys.find("assay_x")):
        with pytest.raises(KeyFileError, match="restore the file"):
            action()


def test_who_deletes_the_store_keeps_the_keys(guarded: Path, keys: KeyFile, market: Market) -> None:
    text, _ = keys.create("me")
    shutil.rmtree(guarded)
    market.publish(guarded)
    assert KeyFile(keys_folder(guarded.parent)).find(text) is not None


def test_keys_beside_the_store_are_moved_at_first_use(tmp_path: Path) -> None:
    earlier, folder = tmp_path / "serving", tmp_path / "api"
    (good, _), (bad, revoked) = KeyFile(earlier).create("me"), KeyFile(earlier).create("you")
    KeyFile(earlier).revoke(revoked.id)
    for _ in range(2):
        found = KeyFile(keys_folder(tmp_path))
        assert found.find(good) is not None
        assert found.find(bad) is None
    assert list(earlier.iterdir()) == []
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_keys_that_come_back_beside_the_store_are_not_taken(tmp_path: Path) -> None:
    """From a backup, in which a key may be good that was revoked since."""
    text, key = KeyFile(tmp_path / "serving").create("me")
    backup = (tmp_path / "serving" / FILE).read_bytes()
    KeyFile(keys_folder(tmp_path)).revoke(key.id)
    (tmp_path / "serving" / FILE).write_bytes(backup)
    assert KeyFile(keys_folder(tmp_path)).find(text) is None


def test_several_processes_that_move_the_keys_at_once_lose_none(tmp_path: Path) -> None:
    text, _ = KeyFile(tmp_path / "serving").create("me")
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(keys_folder, [tmp_path] * 32))
    assert all(KeyFile(folder).find(text) is not None for folder in folders)


def test_with_a_broken_file_of_keys_no_key_is_good(
    guarded: Path, keys: KeyFile, client_of: Callable[..., TestClient]
) -> None:
    text, _ = keys.create("me")
    with client_of(guarded, anonymous=False) as client:
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 200
        (guarded.parent / "api" / FILE).write_text(json.dumps([{"id": 1}]))
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401


def test_a_file_of_keys_copied_from_another_machine_is_used_at_once(
    guarded: Path, keys: KeyFile, tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    source, copied = tmp_path / "other machine", tmp_path / "other machine" / FILE
    text, made = KeyFile(source).create("me")
    with client_of(guarded, anonymous=False) as client:
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401
        (tmp_path / "api").mkdir(exist_ok=True)
        shutil.copy(copied, tmp_path / "api" / FILE)
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 200
        KeyFile(source).revoke(made.id)
        shutil.copy(copied, tmp_path / "api" / FILE)
        assert client.get(PATHS[0], headers=bearer(text)).status_code == 401


def test_who_asks_too_often_waits_and_others_do_not(
    guarded: Path, keys: KeyFile, client_of: Callable[..., TestClient]
) -> None:
    (one, _), (two, _), (own, _) = keys.create("one"), keys.create("two"), keys.create("own", "3/hour")
    with client_of(guarded, key_limit="2/hour", anonymous_limit="1/hour") as client:

        def ask(headers: dict[str, str]) -> int:
            return client.get("/v1/tokens/Apes/1", headers=headers).status_code

        assert [ask(bearer(one)) for _ in range(3)] == [200, 200, 429]
        assert [ask(bearer(two)) for _ in range(3)] == [200, 200, 429]
        assert [ask(bearer(own)) for _ in range(4)] == [200, 200, 200, 429]
        assert [ask({}) for _ in range(2)] == [200, 429]
        refused = client.get("/v1/collections", headers=bearer(one))
        assert refused.json()["type"] == "urn:assay:problem:too-many-requests"
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert client.get("/healthz").status_code == 200


def test_an_ipv6_network_counts_as_one() -> None:
    limiter = Limiter("", "1/hour")
    assert limiter.wait_of_address("2001:db8::1") is None
    assert limiter.wait_of_address("2001:db8::ffff:1") is not None
    assert limiter.wait_of_address("2001:db8:1::1") is None
    assert limiter.wait_of_address("::ffff:10.0.0.1") is None
    assert limiter.wait_of_address("::ffff:10.0.0.2") is None


@pytest.mark.parametrize("text", ["many", "5", "-1/second", "1/fortnight"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LimitError, match="100/second"):
        parse_limit(text)


def test_a_storage_that_cannot_be_used_is_reported_without_its_address() -> None:
    with pytest.raises(LimitError, match="cannot be used") as result:
        Limiter("", "", "nonsense://user:secret@host")
    assert "secret" not in str(result.value)
