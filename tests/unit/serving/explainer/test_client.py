"""Reasons on demand: a real process over a real lake, killed, asked by many, asked for what there is not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lake.config import LakeConfig
from serving.explainer.client import Explainer, ExplainerBusyError, ExplainerError
from serving.explainer.source import ReasonSource
from tests.names import HOSTILE
from tests.unit.serving.market import Market


@pytest.fixture
def ask(market: Market) -> Callable[..., Any]:
    """Run questions against one explainer of the market's lake; errors are returned like answers."""

    def run(work: Callable[[Explainer], Awaitable[object]], **settings: Any) -> Any:
        async def inside() -> object:
            explainer = Explainer(
                ReasonSource.of_home(market.lake.config),
                **{"patience_s": 300.0, "time_limit_s": 300.0, **settings},
            )
            try:
                return await work(explainer)
            finally:
                await explainer.close()

        return asyncio.run(inside())

    return run


def test_errors_are_answers_and_names_of_any_kind_arrive_whole(ask: Callable[..., Any]) -> None:
    async def work(explainer: Explainer) -> list[object]:
        found: list[object] = []
        for name in ("no such collection", *HOSTILE):
            with pytest.raises(ExplainerError) as error:
                await explainer.explain("1", name, "no such token")
            found.append(str(error.value))
        return found

    unknown, *known = ask(work)
    assert "no collection 'no such collection'" in unknown
    assert len(known) == len(HOSTILE)
    assert not any("no collection" in text or "process had ended" in text for text in known)


def test_after_a_kill_the_next_question_has_a_new_process(ask: Callable[..., Any]) -> None:
    async def work(explainer: Explainer) -> list[str]:
        texts = []
        for number in range(3):
            with pytest.raises(ExplainerError) as error:
                await explainer.explain(str(number), "nobody", "1")
            texts.append(str(error.value))
            if number == 0:
                os.kill(explainer.pid, signal.SIGKILL)
        return texts

    first, _, third = ask(work)
    assert "no collection 'nobody'" in first
    assert "no collection 'nobody'" in third


def test_more_than_may_wait_are_refused_and_the_same_question_is_asked_once(
    ask: Callable[..., Any],
) -> None:
    async def work(explainer: Explainer) -> list[object]:
        asked = [explainer.explain("1", name, "1") for name in ("a", "a", "a", "b", "c")]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = ask(work, waiting=2)
    assert [isinstance(one, ExplainerBusyError) for one in answers] == [False, False, False, False, True]


def test_an_impatient_question_is_refused_for_now(ask: Callable[..., Any]) -> None:
    async def work(explainer: Explainer) -> str:
        with pytest.raises(ExplainerBusyError) as error:
            await explainer.explain("1", "a", "1")
        return str(error.value)

    assert "ask again" in ask(work, patience_s=0.01)


@pytest.mark.parametrize("turns", range(1, 9))
def test_it_can_be_closed_at_any_moment_of_the_start(ask: Callable[..., Any], turns: int) -> None:
    async def work(explainer: Explainer) -> None:
        question = asyncio.create_task(explainer.explain("1", "a", "1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await explainer.close()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert explainer.pid == 0

    ask(work)


def test_a_process_that_does_not_answer_is_stopped(ask: Callable[..., Any]) -> None:
    async def work(explainer: Explainer) -> int:
        with pytest.raises(ExplainerError, match="no answer"):
            await explainer.explain("1", "a", "1")
        return explainer.pid

    assert ask(work, time_limit_s=0.05) == 0


def test_a_lake_that_cannot_be_opened_is_an_error_not_a_wait(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "catalog.sqlite").write_bytes(b"this is no database" * 100)

    async def work() -> None:
        explainer = Explainer(
            ReasonSource.of_home(LakeConfig(home=tmp_path)), patience_s=300.0, time_limit_s=300.0
        )
        with pytest.raises(ExplainerError, match="process had ended"):
            await explainer.explain("1", "a", "1")
        await explainer.close()

    asyncio.run(work())
