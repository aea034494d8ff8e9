"""Which processes of the code server are asked to end."""

from __future__ import annotations

from multiprocessing import resource_tracker

import psutil

from orchestration.cli.ui import _is_tracker


def test_pythons_own_process_is_not_waited_for() -> None:
    """It ignores SIGTERM: waiting for it would take as long as waiting may."""
    resource_tracker.ensure_running()
    trackers = [child for child in psutil.Process().children() if _is_tracker(child)]
    assert len(trackers) == 1
    trackers[0].terminate()
    assert trackers[0].is_running()
    assert not _is_tracker(psutil.Process())
