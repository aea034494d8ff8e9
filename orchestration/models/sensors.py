"""The sensor `discover_collections`, which registers partitions and requests no run."""

import dagster as dg

from orchestration.dagster_resources import AssayResource
from orchestration.partitions import register_collections
from orchestration.resources import Assay


def discovered_collections(assay: Assay) -> list[str]:
    """Every collection of the marts, sorted."""
    with assay.lake.read() as con:
        return [
            row[0]
            for row in con.execute("select collection from marts.dim_collections order by 1").fetchall()
        ]


def build_discovery_sensor(*, enabled: bool) -> dg.SensorDefinition:
    """The sensor, off unless enabled."""

    @dg.sensor(
        name="discover_collections",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED,
        description="Registers a price_models partition for every collection that has appeared in the marts.",
    )
    def discover_collections(context: dg.SensorEvaluationContext, assay: AssayResource) -> dg.SkipReason:
        new = register_collections(context.instance, discovered_collections(assay))
        return dg.SkipReason(f"registered {len(new)} new collections" if new else "no new collection")

    return discover_collections
