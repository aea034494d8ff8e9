"""A port that is taken is refused before anything starts, by each command that serves."""

from __future__ import annotations

import socket

import pytest

from orchestration.cli.ports import require_free
from orchestration.settings import SettingsError
from tests.command import assay


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as held:
        yield str(held.getsockname()[1])


def test_a_taken_port_is_refused_also_when_its_holder_would_share_it(taken, tmp_path):
    home = tmp_path / "home"
    done = assay("ui", "--home", str(home), "--port", taken)
    assert (done.returncode, home.exists()) == (2, False)
    assert (
        f"127.0.0.1:{taken} cannot be bound (Address already in use); choose another with --port"
        in done.stderr
    )


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:0 cannot be bound"):
        require_free("192.0.2.1", 0, "--port")


def test_a_free_port_may_be_asked_for_again():
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    for _ in range(2):
        require_free("127.0.0.1", port, "--port")
