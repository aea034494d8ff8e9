"""Compute a chunk in parts: neighbouring collections of similar cost, each a task of its own.

What is here: cutting a chunk into tasks, the task, and putting its results back. What is not: reading chunks
(`ml.index.chunks`), the numbers (`ml.index.kernel`), where tasks run (`ml.compute.backend`).

The concept. A part carries the arrays of its collections with offsets of its own, so it can be computed in a thread, in
another process or on another machine. Collections do not see each other: how a chunk is cut changes no number.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ml.compute.backend import Backend
from ml.compute.tasks import Raised
from ml.index.chunks import Chunk
from ml.index.kernel import Batch, replay_batch
from ml.index.params import IndexParams
from ml.index.replay import N_OUT
from ml.index.valuation import N_COL, N_TOK

#: Parts of a chunk: enough to balance, few enough that one is worth its overhead.
PARTS = 16

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Collections ``first`` to ``last`` (exclusive) of chunk ``number``, and all that their index depends on.

    ``batch`` has offsets of its own, R rows and M tokens; ``noise`` is (2, R); ``with_tokens`` says whether the tokens
    are valued, too.
    """

    number: int
    first: int
    last: int
    batch: Batch
    noise: Float
    with_tokens: bool
    params: IndexParams


@dataclasses.dataclass(frozen=True, eq=False)
class Computed:
    """Results of a part: as the fields of `Chunk` with the same names, for its collections."""

    noise: Float
    out: Float
    tokens: Float
    summary: Float


def computed(chunks: Iterable[Chunk], params: IndexParams, backend: Backend) -> Iterator[Chunk]:
    """Yield the chunks in their order, ``noise``, ``out``, ``tokens`` and ``summary`` filled in.

    The next chunk is read, in the caller's thread, while the parts of this one are computed.

    Args:
        chunks: Chunks numbered from 0.
        params: Parameters of the index.
        backend: Where parts are computed. BLAS should use one thread there.

    Raises:
        Exception: What a part has raised.
    """
    # The BLAS numba calls is scipy's: it must be loaded before its thread count can be limited.
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import threadpool_limits

    read: dict[int, tuple[Chunk, int]] = {}
    placed: dict[int, int] = {}

    def parts() -> Iterator[Part]:
        for chunk in chunks:
            cut = cut_chunk(chunk, params)
            read[chunk.number], placed[chunk.number] = (chunk, len(cut)), 0
            yield from cut

    following = 0
    with threadpool_limits(limits=1, user_api="blas"):
        for part, result in backend.run(compute_part, parts(), ahead=PARTS):
            if isinstance(result, Raised):
                raise result.error
            _place(read[part.number][0], part, result)
            placed[part.number] += 1
            while following in read and placed[following] == read[following][1]:
                yield read.pop(following)[0]
                following += 1


def cut_chunk(chunk: Chunk, params: IndexParams) -> list[Part]:
    """Cut a chunk (its collections fall in cost) into parts of similar cost."""
    batch = chunk.batch
    sizes = np.diff(batch.row_off)
    window = np.minimum(batch.first + sizes, 750)
    cost = np.cumsum(sizes * window**2 + np.diff(batch.trait_off) * window + 1)
    edges = np.searchsorted(cost, cost[-1] / PARTS * np.arange(1, PARTS)) + 1
    bounds = sorted({0, len(sizes), *(int(edge) for edge in edges if edge < len(sizes))})
    return [_part(chunk, first, last, params) for first, last in itertools.pairwise(bounds)]


def _part(chunk: Chunk, first: int, last: int, params: IndexParams) -> Part:
    batch = chunk.batch
    rows, tokens, traits = (
        slice(offsets[first], offsets[last]) for offsets in (batch.row_off, batch.tok_off, batch.trait_off)
    )
    bounds = slice(first, last + 1)
    within = (
        (slice(first, last), ("n_types", "first", "start", "sales", "anchor", "ref_day")),
        (rows, ("day", "query_day", "y", "token", "prefix")),
        (traits, ("codes", "weights")),
    )
    return Part(
        number=chunk.number,
        first=first,
        last=last,
        batch=Batch(
            row_off=batch.row_off[bounds] - rows.start,
            tok_off=batch.tok_off[bounds] - tokens.start,
            trait_off=batch.trait_off[bounds] - traits.start,
            **{name: getattr(batch, name)[cut] for cut, names in within for name in names},
        ),
        noise=chunk.noise[:, rows],
        with_tokens=len(chunk.tokens) > 0,
        params=params,
    )


def compute_part(part: Part) -> Computed:
    """The index of a part's collections; changes nothing of the part."""
    # Arrays that come from another process cannot be written to, and the kernel is compiled for those that can.
    batch = Batch._make(np.require(values, requirements=["C", "W"]) for values in part.batch)
    rows, tokens = int(batch.row_off[-1]), int(batch.tok_off[-1]) if part.with_tokens else 0
    found = Computed(
        noise=np.array(part.noise, order="C"),
        out=np.full((2, N_OUT, rows), np.nan),
        tokens=np.full((tokens, N_TOK), np.nan),
        summary=np.full((part.last - part.first, N_COL), np.nan),
    )
    params = part.params
    replay_batch(
        batch,
        0,
        part.last - part.first,
        params.variant_table(),
        params.step,
        params.keep_steps,
        params.block,
        params.min_sales,
        found.noise,
        found.out,
        found.tokens,
        found.summary,
    )
    return found


def _place(chunk: Chunk, part: Part, found: Computed) -> None:
    rows, tokens = (
        slice(offsets[part.first], offsets[part.last])
        for offsets in (chunk.batch.row_off, chunk.batch.tok_off)
    )
    chunk.noise[:, rows] = found.noise
    chunk.out[:, :, rows] = found.out
    if part.with_tokens:
        chunk.tokens[tokens] = found.tokens
    chunk.summary[part.first : part.last] = found.summary
