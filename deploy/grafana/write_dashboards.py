"""Writes the dashboards: `python deploy/grafana/write_dashboards.py`. Here: which panels, with which query and unit.

A panel is a title, a unit of Grafana, and queries with their legend. The JSON is made from nothing else, so that a
changed query is a changed line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "assay-prometheus"}
HEIGHT, WIDTH = 8, 8

Panel = tuple[str, str, list[tuple[str, str]]]
"""Title, unit, and (query, legend) of each line."""

API: dict[str, list[Panel]] = {
    "Requests": [
        ("Requests by route", "reqps", [("assay:http_requests:rate5m", "{{route}}")]),
        (
            "Errors by route",
            "reqps",
            [
                (
                    'sum by (route, status) (rate(assay_http_requests_total{status=~"[45].."}[$__rate_interval]))',
                    "{{status}} {{route}}",
                )
            ],
        ),
        (
            "Latency",
            "s",
            [
                (
                    f"histogram_quantile({q}, sum by (le) (rate(assay_http_request_seconds_bucket[$__rate_interval])))",
                    f"p{100 * q:g}",
                )
                for q in (0.5, 0.95, 0.99)
            ],
        ),
        ("Latency by route, p99", "s", [("assay:http_request_seconds:p99_5m", "{{route}}")]),
        ("Error budget burnt, 1 h", "none", [("assay:burn:ratio_1h", "{{slo}}")]),
        (
            "Age of the store",
            "s",
            [("assay_store_age_seconds", "age"), ("assay_store_stale_after_seconds", "stale from")],
        ),
    ],
    "Saturation": [
        ("Requests under way", "none", [("assay_http_requests_underway", "under way")]),
        (
            "Requests that wait for a thread",
            "none",
            [("assay_http_requests_queued", "waiting"), ("assay_http_threads_busy", "threads busy")],
        ),
        ("Delay of the event loop", "s", [("assay_http_loop_delay_seconds", "longest in 15 s")]),
        (
            "CPU by process",
            "percentunit",
            [
                (
                    "sum by (process) (rate(assay_api_process_cpu_seconds_total[$__rate_interval]))",
                    "{{process}}",
                )
            ],
        ),
        ("Memory by process", "bytes", [("assay_api_process_resident_memory_bytes", "{{process}}")]),
        ("Open files and connections", "none", [("assay_api_process_open_fds", "{{process}}")]),
    ],
    "Machine": [
        (
            "CPU of the machine",
            "percentunit",
            [
                (
                    '1 - sum by (job) (rate(assay_machine_cpu_seconds_total{mode="idle"}[$__rate_interval]))'
                    " / max by (job) (assay_machine_cpus)",
                    "{{job}}",
                )
            ],
        ),
        (
            "Memory available",
            "bytes",
            [
                ("max by (job) (assay_machine_memory_available_bytes)", "{{job}}"),
                ("max(assay_machine_memory_bytes)", "all"),
            ],
        ),
        ("Disk free", "bytes", [("assay_machine_disk_free_bytes", "{{job}}")]),
        (
            "Disk read and written",
            "Bps",
            [("rate(assay_machine_disk_io_bytes_total[$__rate_interval])", "{{job}} {{direction}}")],
        ),
        (
            "Network",
            "Bps",
            [("rate(assay_machine_network_bytes_total[$__rate_interval])", "{{job}} {{direction}}")],
        ),
        ("Load", "none", [('assay_machine_load{minutes="5"}', "{{job}}")]),
    ],
}
PIPELINE: dict[str, list[Panel]] = {
    "Is it there": [
        ("Age of what is shown", "s", [("assay_home_age_seconds", "{{part}}")]),
        ("Parts that can be read", "bool_yes_no", [("assay_home_readable", "{{part}}")]),
        ("Since the lake was written", "s", [("time() - assay_lake_snapshot_timestamp_seconds", "lake")]),
        (
            "Since a run succeeded",
            "s",
            [("time() - assay_run_success_timestamp_seconds", "{{job}}")],
        ),
        ("Runs by status", "none", [("sum by (status) (assay_runs)", "{{status}}")]),
        ("Open incidents", "none", [("assay_open_incidents", "{{severity}}")]),
        ("Messages that have not arrived", "none", [("assay_undelivered_messages", "{{state}}")]),
    ],
    "Data": [
        (
            "Behind the newest source",
            "s",
            [
                (
                    "scalar(max(assay_source_watermark_timestamp_seconds)) - assay_source_watermark_timestamp_seconds",
                    "{{source}}",
                )
            ],
        ),
        (
            "Newest day by source and table",
            "dateTimeAsIso",
            [("1000 * assay_source_newest_day_timestamp_seconds", "{{source}} {{table}}")],
        ),
        ("Tables behind what has arrived", "s", [("assay_table_lag_seconds", "{{layer}}")]),
        ("Rows accepted", "none", [("assay_ingested_rows", "{{source}} {{table}}")]),
        ("Rows turned away", "none", [("assay_refused_rows", "{{source}} {{table}}")]),
        ("Rows in quarantine", "none", [("assay_quarantine_open_rows", "{{source}} {{table}}")]),
    ],
    "Estimates and models": [
        ("Tokens with a value", "percentunit", [("assay_estimate_coverage_ratio", "coverage")]),
        ("Median error of new sales", "percentunit", [("assay_online_mdape_ratio", "MdAPE")]),
        ("Prices inside the 80 % interval", "percentunit", [("assay_interval_coverage_ratio", "coverage")]),
        ("Share of collections drifted", "percentunit", [("assay_drift_share_ratio", "drifted")]),
        ("Collections by drift", "none", [("assay_drift_collections", "{{state}}")]),
        ("Queue of trainings", "none", [("assay_retrain_queue_collections", "{{state}}")]),
        (
            "Collections that failed or are set aside",
            "none",
            [
                ("assay_training_failed_collections", "failed"),
                ("assay_set_aside_collections", "set aside: {{table}}"),
            ],
        ),
    ],
}
LEVELS: dict[str, list[Panel]] = {
    "Error budgets": [
        ("Budget left", "percentunit", [("assay_service_level_budget_left_ratio", "{{slo}}")]),
        ("State, 4 ticket, 5 page", "none", [("assay_service_level_state", "{{slo}}")]),
        ("Alerting now", "none", [("sum by (severity) (assay_service_level_alerting)", "{{severity}}")]),
    ],
    "Burn rates": [
        (f"Burn rate, {window}", "none", [(f'assay_service_level_burn_rate{{window="{window}"}}', "{{slo}}")])
        for window in ("1h", "6h", "3d")
    ],
    "Measured": [
        (
            "Good events",
            "percentunit",
            [("assay_service_level_good_ratio", "{{slo}}")],
        ),
        (
            "Below the objective",
            "percentunit",
            [("(assay_service_level_objective_ratio - assay_service_level_good_ratio) > 0", "{{slo}}")],
        ),
        ("Newest measurement", "none", [("assay_service_level_measured", "{{slo}}")]),
        ("API, judged by Prometheus: bad events, 1 h", "percentunit", [("assay:bad:ratio_1h", "{{slo}}")]),
    ],
}
DASHBOARDS = {
    "api": ("Assay: API", API),
    "pipeline": ("Assay: pipeline", PIPELINE),
    "service-levels": ("Assay: service levels", LEVELS),
}


def dashboard(name: str, title: str, rows: dict[str, list[Panel]]) -> dict[str, Any]:
    """One dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for heading, members in rows.items():
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": heading, "collapsed": False, "panels": [],
             "gridPos": {"h": 1, "w": 24, "x": 0, "y": top}}
        )  # fmt: skip
        top += 1
        for number, member in enumerate(members):
            place = {"h": HEIGHT, "w": WIDTH, "x": number % 3 * WIDTH, "y": top + number // 3 * HEIGHT}
            panels.append(panel(len(panels) + 1, member, place))
        top += (len(members) + 2) // 3 * HEIGHT
    return {
        "uid": f"assay-{name}", "title": title, "tags": ["assay"], "schemaVersion": 38, "version": 1,
        "editable": True, "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "utc",
        "annotations": {"list": []}, "templating": {"list": []}, "panels": panels,
    }  # fmt: skip


def panel(number: int, member: Panel, place: dict[str, int]) -> dict[str, Any]:
    """A graph over time."""
    title, unit, queries = member
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": SOURCE, "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"fillOpacity": 5}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for n, (expr, legend) in enumerate(queries)
        ],
    }  # fmt: skip


def texts() -> dict[str, str]:
    """The files by name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, *what), indent=1, ensure_ascii=False) + "\n"
        for name, what in DASHBOARDS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in texts().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
