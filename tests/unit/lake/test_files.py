"""Files of a folder and of an object store: the same answers, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lake.errors import FilesUnreachableError
from lake.files import Files, FolderFiles, ObjectFiles, files_at, files_of_values
from lake.object_store import ObjectStore
from ml.registry.artifacts import ArtifactCorruptError, ArtifactMissingError, ArtifactStore
from tests.http_server import Reply, Request, serving_http
from tests.object_store import BUCKET, bucket, put


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with bucket() as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return files_at(str(tmp_path / "a folder"), None)
    store: ObjectStore = request.getfixturevalue("store")
    return files_at(f"s3://{BUCKET}/what's there/{tmp_path.name}/", store)


@pytest.mark.parametrize("content", [b"", b"model", b"\0" * 6_000_000], ids=["empty", "small", "large"])
def test_what_was_written_is_read_and_replaced(files: Files, content: bytes) -> None:
    files.write("ab/one.cbm", b"old")
    files.write("ab/one.cbm", content)
    assert files.read("ab/one.cbm") == content
    with pytest.raises(FileNotFoundError):
        files.read("ab/other.cbm")


def test_a_place_is_the_same_in_another_process(files: Files) -> None:
    files.write("one", b"1")
    again = files_of_values(json.loads(json.dumps(asdict(files), default=str)))  # type: ignore[call-overload]
    assert again == files
    assert again.read("one") == b"1"


def test_a_message_names_the_place_and_no_key(store: ObjectStore) -> None:
    models = ArtifactStore(ObjectFiles(f"s3://{BUCKET}/models", store))
    with pytest.raises(ArtifactMissingError, match=f"s3://{BUCKET}/models/00/0+.cbm, found none"):
        models.get_bytes("0" * 64)
    put(store, f"models/00/{'0' * 64}.cbm", b"damaged")
    with pytest.raises(ArtifactCorruptError, match="found 7 bytes"):
        models.get_bytes("0" * 64)
    assert store.secret_access_key not in repr(models)


def test_a_bucket_that_is_not_there_or_does_not_answer_is_an_error_not_a_wait(store: ObjectStore) -> None:
    for other in (
        ObjectFiles("s3://nowhere/models", store),
        ObjectFiles(f"s3://{BUCKET}", replace(store, endpoint="http://127.0.0.1:9")),
    ):
        with pytest.raises(FilesUnreachableError, match=r"(NO_SUCH_BUCKET|NETWORK_CONNECTION).*try again"):
            other.write("one", b"1")
    # Not lost: it would be fitted again while the store is away.
    with pytest.raises(FilesUnreachableError, match="NETWORK_CONNECTION"):
        ArtifactStore(other).problem("0" * 64)


def test_a_model_is_stored_once_and_a_damaged_one_replaced(files: Files) -> None:
    models = ArtifactStore(files)
    sha = models.put_bytes(b"a model", "cbm")
    files.write(f"{sha[:2]}/{sha}.cbm", b"damaged")
    assert models.problem(sha)
    assert models.put_bytes(b"a model", "cbm") == sha
    assert models.get_bytes(sha) == b"a model"


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    assert files_at(tmp_path, None) == FolderFiles(tmp_path)
    assert FolderFiles(tmp_path).uri("a b") == (tmp_path / "a b").as_uri()


def test_a_home_folder_is_found_and_relative_names_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert files_at("~/models", None) == files_at("models", None) == FolderFiles(tmp_path / "models")


def test_nothing_but_the_content_is_sent() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        asked.append(request)
        return Reply(headers={"etag": '"1"'}, document=b"")

    with serving_http(answer) as url:
        store = ObjectStore("key", "secret", endpoint=url, path_style=True)
        ObjectFiles(f"s3://{BUCKET}", store).write("ab/one.cbm", b"model")
    assert [request.body for request in asked] == [b"model"]
    assert "x-amz-trailer" not in asked[0].headers
