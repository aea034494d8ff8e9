"""`assay prepare`: what is made once. Here: the order. Not here: the work."""

from __future__ import annotations

from orchestration.output.terminal import say


def prepare() -> None:
    """Prepare what every later start would otherwise do again: parse dbt, compile the index kernel."""
    from orchestration.marts.manifest import prepare_manifest

    say(f"dbt manifest: {prepare_manifest()}")
    from ml.index.kernel import warm_up

    warm_up()
    say("index kernel: compiled")
