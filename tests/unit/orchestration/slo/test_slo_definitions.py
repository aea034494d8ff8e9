"""A malformed SLO is refused with file, line, field, expectation and finding."""

import textwrap

import pytest

from orchestration.slo.definitions import SloDefinitionError, load_slos

GOOD = """\
slos:
  - name: sales_arrive
    description: Sales arrive every day.
    sli:
      kind: value
      sql: select 1.0 as value, {number} as events
      parameters: {number: 3}
      needs: [raw.sales]
      at_most: 26
      unit: h
    objective: 0.99
    owner: team:data-engineering
    severity: page
    runbook: quarantine-grew
    command: assay run
"""


def refuse(tmp_path, text: str) -> str:
    path = tmp_path / "slos.yaml"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(SloDefinitionError) as refused:
        load_slos(path)
    return str(refused.value).replace(str(path), "slos.yaml")


def test_the_slos_of_this_repository_load_and_cover_every_subject():
    slos = {slo.name: slo for slo in load_slos()}
    assert len(slos) >= 15
    assert {
        "sales_arrive",
        "marts_fresh",
        "collections_fresh",
        "interval_coverage",
        "pipeline_success",
    } <= set(slos)


def test_a_good_file_loads(tmp_path):
    path = tmp_path / "slos.yaml"
    path.write_text(GOOD)
    (slo,) = load_slos(path)
    assert slo.sli.query == "select 1.0 as value, 3 as events"
    assert slo.sli.bound == "≤ 26 h"


@pytest.mark.parametrize(
    ("change", "line", "field", "expected"),
    [
        (("objective: 0.99", "objective: 99"), 11, "objective", "between 0 and 1"),
        (("severity: page", "severity: high"), 13, "severity", "page (wakes the person on call) or ticket"),
        (("    owner: team:data-engineering\n", ""), 2, "owner", "team:<name>"),
        (("kind: value", "kind: gauge"), 5, "sli.kind", "ratio (good, valid) or value"),
        (("      at_most: 26\n", ""), 4, "sli", "a value needs at_most or at_least"),
        (("      unit: h\n", "      units: h\n"), 10, "sli.units", "only kind, sql"),
        (("runbook: quarantine-grew", "runbook: nowhere"), 14, "runbook", "name of a page in docs/runbook"),
        (("needs: [raw.sales]", "needs: [sales]"), 8, "sli.needs", "schema.table"),
        (("parameters: {number: 3}", "parameters: {other: 3}"), 4, "sli", "parameters does not give"),
        (
            ("parameters: {number: 3}", "parameters: {number: '3; drop table x'}"),
            7,
            "sli.parameters",
            "a name or a number",
        ),
        (("objective: 0.99", "objective: 0.99\n    pager: yes"), 12, "pager", "only name"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path, change, line, field, expected):
    assert change[0] in GOOD
    message = refuse(tmp_path, GOOD.replace(*change))
    assert message.startswith(f"slos.yaml:{line}: sales_arrive: {field}: expected "), message
    assert expected in message
    assert ", found " in message


def test_every_problem_is_reported_at_once(tmp_path):
    message = refuse(tmp_path, GOOD.replace("0.99", "1.5").replace("page", "loud"))
    assert [line.split(":")[1] for line in message.splitlines()] == ["11", "13"]


def test_a_name_used_twice_is_named_with_both_lines(tmp_path):
    message = refuse(tmp_path, GOOD + GOOD.removeprefix("slos:\n"))
    assert message.startswith(
        "slos.yaml:16: sales_arrive: name: expected a name used once, found it on line 2 too"
    )


def test_text_that_is_no_yaml_is_named_with_its_line(tmp_path):
    assert refuse(tmp_path, "slos:\n  - name: [a\n    b: c\n").startswith("slos.yaml:3: expected YAML")


def test_a_file_without_slos_is_refused(tmp_path):
    assert "expected a list of SLOs, found None" in refuse(tmp_path, "version: 1\n")
    assert "expected a list of SLOs, found []" in refuse(tmp_path, "slos: []\n")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SloDefinitionError, match="expected a readable file"):
        load_slos(tmp_path / "none.yaml")
