"""The sentence about a step that failed."""

import dagster as dg
import pytest

from orchestration.runs.job_runner import _describe_failure


@dg.op
def reads() -> None:
    try:
        raise ConnectionRefusedError(111, "Connection refused")
    except OSError as error:
        raise RuntimeError("expected a cluster at head:6379, found none; start one") from error


@dg.op
def divides() -> None:
    _ = 1 / 0


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (
            reads,
            "build: step reads failed: RuntimeError: expected a cluster at head:6379, found none; start one (run ",
        ),
        (divides, "build: step divides failed: ZeroDivisionError: division by zero (run "),
    ],
)
def test_the_sentence_is_of_our_error_not_of_what_it_was_caused_by(
    op: dg.OpDefinition, expected: str
) -> None:
    job = dg.JobDefinition(name="build", graph_def=dg.GraphDefinition(name="g", node_defs=[op]))
    result = job.execute_in_process(raise_on_error=False)
    assert _describe_failure("build", result).startswith(expected)
