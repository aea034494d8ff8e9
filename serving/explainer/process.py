"""The process that computes reasons: `python -m serving.explainer.process`.

Here: reading questions, one JSON object per line, and writing one answer per line. Not here: who starts it (`client`),
or the explanation (`ml.explain`).

Concept: models, SHAP and the lake need seconds to load and hundreds of MB. In a process of its own they cost the
server nothing: it can be killed and started again at any time, and it ends when the server does (its input ends).

The first line is where to compute from, then each is {"collection", "token"}. An answer is {"document": …} or {"error":
text}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import IO

from lake.child_processes import end_with_input
from lake.connection import Lake
from lake.errors import FilesUnreachableError
from ml.compute.matrix import FeatureMismatchError
from ml.explain.errors import ExplainError
from ml.registry.artifacts import ArtifactLostError, ArtifactStore
from serving.explainer.source import ReasonSource
from serving.store.reasons import ReasonsConfig, explain_tokens


def answers(questions: Iterator[str]) -> Iterator[bytes]:
    """One line of JSON for each question, in their order."""
    source = ReasonSource.of_values(json.loads(next(questions)))
    assert source is not None, "the first line names the source"
    lake, artifacts = Lake(source.lake), ArtifactStore(source.models)
    for line in questions:
        asked = json.loads(line)
        try:
            with lake.read(lake.snapshot_id()) as con:
                (found,) = explain_tokens(
                    con, artifacts, asked["collection"], [asked["token"]], ReasonsConfig()
                )
            yield b'{"document":%b}' % found[2]
        except (ExplainError, FeatureMismatchError, ArtifactLostError, FilesUnreachableError) as error:
            yield json.dumps({"error": str(error)}).encode()


def main() -> None:
    """Answer until the input ends, also in the middle of an answer."""
    end_with_input()
    with _own_output() as output:
        for answer in answers(iter(sys.stdin.readline, "")):
            output.write(answer + b"\n")
            output.flush()


def _own_output() -> IO[bytes]:
    """The standard output for answers alone: whatever else is printed goes to the log."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


if __name__ == "__main__":
    main()
