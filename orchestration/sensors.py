"""Sensors. Here: the one that discovers collections; it only registers partitions and requests no run. And the list."""

import dagster as dg

from orchestration.alerts.sensors import build_alert_sensors
from orchestration.conditions import build_condition_sensor
from orchestration.partitions import register_collections
from orchestration.resources import Assay, AssayResource
from orchestration.retraining.sensors import build_acting_sensors


def discovered_collections(assay: Assay) -> list[str]:
    """Every collection the marts know, sorted."""
    with assay.lake.read() as con:
        return [
            row[0]
            for row in con.execute("select collection from marts.dim_collections order by 1").fetchall()
        ]


def build_sensors(*, enabled: bool) -> list[dg.SensorDefinition]:
    """Every sensor, off unless enabled."""

    @dg.sensor(
        name="discover_collections",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED,
        description="Registers a price_models partition for every collection that has appeared in the marts.",
    )
    def discover_collections(context: dg.SensorEvaluationContext, assay: AssayResource) -> dg.SkipReason:
        new = register_collections(context.instance, discovered_collections(assay))
        return dg.SkipReason(f"registered {len(new)} new collections" if new else "no new collection")

    return [
        discover_collections,
        *build_acting_sensors(enabled=enabled),
        *build_alert_sensors(enabled=enabled),
        build_condition_sensor(enabled=enabled),
    ]
