"""`assay metrics`: the exporter of a home for Prometheus. Here: options, and putting it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.options import Home
from orchestration.output.terminal import say
from orchestration.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from orchestration.exporter.web import Receive

PORT = 9464


def metrics(
    home: Home = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to bind.")] = PORT,
    host: Annotated[str, typer.Option(help="Address to bind; the server asks for no key.")] = "127.0.0.1",
    every: Annotated[float, typer.Option(min=1, help="Seconds between two readings of the home.")] = 30,
) -> None:
    """Show the pipeline to Prometheus until interrupted, and take alerts from its Alertmanager.

    It only reads the lake, and needs neither the daemon nor a run.
    """
    settings = load_settings(home=home)
    from prometheus_client import CollectorRegistry

    from orchestration.exporter.reader import HomeCollector, parts_of
    from orchestration.exporter.web import make_server
    from orchestration.home import existing_home
    from serving.metrics.machine import MachineCollector

    existing_home(settings)
    registry = CollectorRegistry()
    collector = HomeCollector(parts_of(settings))
    registry.register(collector)
    registry.register(MachineCollector(settings.home_path))
    try:
        server = make_server(host, port, registry, _receiver(settings))
    except OSError as error:
        raise SettingsError(
            f"expected an address that can be bound, found {host}:{port} ({error.strerror})"
        ) from error
    say(
        f"Assay metrics: http://{host}:{server.server_port}/metrics (Ctrl-C stops it) · home {settings.home_path}"
    )
    collector.refresh_for_ever(every)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def _receiver(settings: Settings) -> Receive:
    """Keeps alerts in the outbox, and sends what is due at once: the daemon may be what is down."""
    from orchestration.alerts.configured_channels import open_channels
    from orchestration.alerts.delivery import deliver
    from orchestration.alerts.policy import policy_of
    from orchestration.alerts.store import Outbox
    from orchestration.clock import WALL_CLOCK
    from orchestration.exporter.received import receive

    channels, policy = open_channels(settings), policy_of(settings)

    def take(body: bytes) -> tuple[int, int]:
        outbox, now = Outbox.of(settings.home_path), WALL_CLOCK.now()
        found = receive(body, outbox, now)
        deliver(outbox, channels, now, policy)
        return found

    return take
