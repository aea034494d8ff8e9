"""A picture that fails does not fail its asset: the asset goes on, its metadata say why, the log has the traceback."""

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
