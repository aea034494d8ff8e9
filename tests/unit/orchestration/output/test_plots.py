"""A picture that fails does not fail its asset: the asset goes on, its metadata say why, the log has the traceback."""

from datetime import date, timedelta
from itertools import pairwise

import dagster as dg

from orchestration.output import plots


def _draw():
    raise ValueError("no `picture` of postgresql://u:pw@host/db")


@dg.asset
def with_a_picture() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"picture": plots.drawn("The picture", _draw)})


def test_the_asset_goes_on_and_names_what_failed():
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([with_a_picture], instance=instance)
        assert result.success
        (event,) = result.asset_materializations_for_node("with_a_picture")
        text = event.metadata["picture"].value
        assert text.startswith("The picture could not be drawn: ValueError: no \\`picture\\`")
        assert "pw" not in text
        logged = [record.user_message for record in instance.all_logs(result.run_id) if record.level == 30]
        assert any("The picture could not be drawn" in message for message in logged)


def test_a_title_and_a_legend_may_hold_anything():
    trials = [(1, 0.2, "complete"), (2, 0.1, "complete")]
    for name in ("$100% Gang$", "A$AP^$ Crew", "$\\frac$", "_x", "\x1b[31m\n"):
        shown = plots.study_plot(name, trials, {"depth": 1.0}).value
        assert shown.startswith("![plot](data:image/png")


def test_a_log_scale_has_numbers_as_people_write_them():
    figure, axes = plots._figure("levels")
    axes.plot([1, 2, 3], [0.03, 0.4, 2_400])
    plots._plain_log(axes)
    figure.canvas.draw()
    shown = {label.get_text() for label in axes.get_yticklabels(which="both")} - {""}
    assert {"0.05", "0.1", "1", "1,000"} <= shown
    assert not [label for label in shown if "$" in label or "10^" in label]


def test_dates_below_an_axis_do_not_overlap():
    figure, axes = plots._figure("days")
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(400)]
    axes.plot(days, range(400))
    plots._dated(axes)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(boxes) >= 3
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
