"""Where work on collections runs, as the settings say: index, fits, backtests, tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.compute.backend import Backend
    from orchestration.settings import Settings


def compute_backend(settings: Settings) -> Backend:
    """Threads and processes of this machine, or the workers of a Ray cluster; what is computed is the same.

    On a cluster that is started for this, as many workers as there would be threads; on another one, all of its CPUs.
    """
    from ml.compute.backend import ThreadBackend
    from ml.compute.ray_backend import RayBackend

    if settings.compute == "ray":
        address = settings.ray_address or ""
        return RayBackend(address, workers=None if address else settings.threads)
    return ThreadBackend(workers=settings.threads)
