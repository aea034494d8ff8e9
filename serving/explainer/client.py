"""Asking the process that computes reasons.

Here: starting it when it is needed, one question at a time, limits, and keeping answers. Not here: what it does
(`process`), or whether an answer belongs to what is served (`serving.views.tokens`).

Concept: a question costs about half a second of CPU, whoever asks. So there is one process, few may wait for it, and
who gave up waiting finds the answer when asking again: a question that was begun is finished and kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict

from lake.child_processes import child_command, child_environment
from serving.explainer.source import ReasonSource

_log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer."""

Question = tuple[str, str, str]
"""Version of the store, collection, token."""


class ExplainerError(RuntimeError):
    """Reasons could not be computed now; the message says why and what to do."""


class ExplainerBusyError(ExplainerError):
    """Too many questions wait, or this one takes longer than its asker waits."""


class Explainer:
    """Computes reasons in one process of its own, for the event loop it is used in.

    Args:
        source: Where estimates, features and models are.
        waiting: Questions that may wait or run at once.
        kept: Answers that are kept.
        patience_s: Seconds that one asker waits.
        time_limit_s: Seconds after which the process is stopped; the first question starts it, which takes seconds.
    """

    def __init__(
        self,
        source: ReasonSource,
        waiting: int = 8,
        kept: int = 1_000,
        patience_s: float = 8.0,
        time_limit_s: float = 60.0,
    ) -> None:
        self._source, self._waiting, self._kept = source, waiting, kept
        self._patience_s, self._time_limit_s = patience_s, time_limit_s
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._turn = asyncio.Lock()
        self._underway: dict[Question, asyncio.Task[bytes]] = {}
        self._answers: OrderedDict[Question, bytes] = OrderedDict()

    async def explain(self, version: str, collection: str, token: str) -> bytes:
        """The document of a token's reasons, computed from what the lake holds now.

        Args:
            version: Version of the store that is served: answers are kept for as long as it is the same.
            collection: Name of the collection.
            token: Token id.

        Raises:
            ExplainerBusyError: Too many wait, or it takes too long; asking again later gives the answer.
            ExplainerError: The reasons cannot be computed.
        """
        question = (version, collection, token)
        kept = self._answers.get(question)
        if kept is not None:
            self._answers.move_to_end(question)
            return kept
        task = self._underway.get(question)
        if task is None:
            if len(self._underway) >= self._waiting:
                raise ExplainerBusyError(
                    f"expected at most {self._waiting} questions for reasons at once, found more; ask again later"
                )
            task = asyncio.create_task(self._answer(question))
            self._underway[question] = task
            task.add_done_callback(lambda done: self._finish(question, done))
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.shield(task)
        except TimeoutError:
            raise ExplainerBusyError(
                "expected the reasons in time, found them still being computed; ask again later, they are kept"
            ) from None

    @property
    def pid(self) -> int:
        """Process id of the running process; 0 without one."""
        return 0 if self._process is None else self._process.pid

    async def close(self) -> None:
        """Give up the questions underway and stop the process; it ends by itself when this one does."""
        underway = list(self._underway.values())
        for task in underway:
            task.cancel()
        await asyncio.gather(*underway, return_exceptions=True)
        if self._starting is not None:
            await asyncio.wait([self._starting])
        await self._stop()

    def _finish(self, question: Question, task: asyncio.Task[bytes]) -> None:
        del self._underway[question]
        # To ask for the error marks it as seen: nobody may be waiting for it any more.
        if task.cancelled() or task.exception() is not None:
            return
        self._answers[question] = task.result()
        while len(self._answers) > self._kept:
            self._answers.popitem(last=False)

    async def _answer(self, question: Question) -> bytes:
        _, collection, token = question
        async with self._turn:
            process = await self._started()
            try:
                async with asyncio.timeout(self._time_limit_s):
                    line = await _exchange(process, {"collection": collection, "token": token})
            except (TimeoutError, OSError, ValueError) as error:
                await self._stop()
                _log.error("reasons of %r of %r: no answer: %r", token, collection, error)
                raise ExplainerError(
                    "expected the reasons in time, found no answer; the log says why, ask again later"
                ) from error
            if not line.endswith(b"\n"):
                await self._stop()
                _log.error("reasons of %r of %r: the process ended", token, collection)
                raise ExplainerError(
                    "expected the reasons, found that their process had ended; the log says why, ask again later"
                )
        if line.startswith(b'{"document":'):
            return line[len(b'{"document":') : -2]
        raise ExplainerError(json.loads(line)["error"])

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            # Never cancelled: asyncio would wait for ever for a process whose pipes are not connected yet.
            self._starting = asyncio.create_task(self._start())
            return await asyncio.shield(self._starting)
        return self._process

    async def _start(self) -> Process:
        process = self._process = await asyncio.create_subprocess_exec(
            *child_command("serving.explainer.process"),
            stdin=PIPE,
            stdout=PIPE,
            env=child_environment(),
            limit=LINE_LIMIT,
        )
        # By its input, not as an argument: the address of a catalog may hold a password.
        _write(process, asdict(self._source))
        return process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


async def _exchange(process: Process, question: dict[str, str]) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    _write(process, question)
    await process.stdin.drain()
    return await process.stdout.readline()


def _write(process: Process, message: Mapping[str, object]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message, default=str).encode() + b"\n")
