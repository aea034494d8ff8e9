"""Tuning the boosters of the collections that are worth it.

Here: a collection's residuals as a scope, all of them under one budget, and the rest for classes where nothing paid.
Not here: which collections are worth it (`ml.tuning.worth`), the study of one scope (`ml.tuning.scope`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np

from ml.compute.backend import Backend, ThreadBackend
from ml.models.collection_reader import WITHOUT_FEATURES, CollectionSales, read_collections
from ml.models.frames import FeatureSet
from ml.models.local import LocalConfig
from ml.models.traits import RaggedTraitsError
from ml.models.tuned_settings import CLASS, COLLECTION, Adopted, read_adopted, recipe_of_local, settings_at
from ml.tuning.fold_tasks import ObjectiveOnBackend
from ml.tuning.journal import Journal
from ml.tuning.judgement import clusters_of
from ml.tuning.local_objective import LocalObjective
from ml.tuning.scope import Outcome, Scope, TuningConfig, tune_scope
from ml.tuning.spaces import LOCAL_SPACE, current
from ml.tuning.tables import Verdict, newest_verdicts
from ml.tuning.windows import TooFewSalesError, split_windows
from ml.tuning.worth import Worth, WorthRule, share_budget, worth_tuning

CLUSTER_DAYS = 1.0
"""Sales of the collection within so many days are resampled together."""


def tune_collections(
    journal: Journal,
    seconds: float,
    *,
    config: TuningConfig | None = None,
    rule: WorthRule | None = None,
    local: LocalConfig | None = None,
    features: FeatureSet | None = None,
    first: Collection[str] = (),
    backend: Backend | None = None,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Tune the boosters of the collections that are worth it and whose verdict no longer stands.

    As many studies at a time as the backend has slots. Each searches in a thread of this process, which writes its
    trials down; its folds are fitted by the backend.

    Args:
        journal: The lake to read sales from and to remember studies in.
        seconds: Wall-clock budget of all collections together.
        config: How a collection is tuned.
        rule: Which are.
        local: The recipe.
        features: Features to use; those declared now when None.
        first: Collections that come before the others, also when their verdict stands.
        backend: Where fits run; one at a time in this process when None.
        clock: Seconds; injected by tests.
        say: Called with a line about progress, for people; from any thread.

    Returns:
        One outcome per study, most valuable collection first; then the classes that now rest.
    """
    config, rule, local = config or TuningConfig(), rule or WorthRule(), local or LocalConfig()
    features, backend = features or FeatureSet.declared(), backend or ThreadBackend(workers=1)
    slots, ends = backend.slots, clock() + seconds
    recipe = recipe_of_local(local, features.fingerprint)
    with journal.lake.read() as con:
        candidates = worth_tuning(con, rule)
        adopted = read_adopted(con, COLLECTION, recipe)
        stands = journal.standing(recipe, COLLECTION) | journal.standing(recipe, CLASS)
        chosen = share_budget(candidates, seconds * slots, rule, stands, first)
        keys = [worth.collection for worth, _ in chosen]
        sizes = [worth.sales for worth, _ in chosen]
        read = read_collections(con, keys, sizes, features, sum(sizes) + 1)
        sales = {own.collection: own for own in read}
    stopping = threading.Event()

    def stopped_or_now() -> float:
        return math.inf if stopping.is_set() else clock()

    def tune(worth: Worth, share: float) -> Outcome:
        if (own := sales.get(worth.collection)) is None:
            return Outcome(COLLECTION, worth.collection, WITHOUT_FEATURES)
        share = max(0.0, min(share, ends - stopped_or_now()))
        say(f"tuning the booster of {worth.collection} for up to {share:.0f} s")
        try:
            scope = collection_scope(own, recipe, local, adopted.get(worth.collection, ()), config, backend)
        except (TooFewSalesError, RaggedTraitsError) as error:
            return Outcome(COLLECTION, worth.collection, str(error))
        return tune_scope(scope, journal, config.with_seconds(share), stopped_or_now)

    with ThreadPoolExecutor(slots, thread_name_prefix="study") as pool:
        studies = [pool.submit(tune, *one) for one in chosen]
        try:
            outcomes = [study.result() for study in studies]
        except BaseException:
            # The fits that run end at their next tree, or with their fold on a cluster.
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes + _rest_classes(journal, recipe, candidates, rule)


def collection_scope(
    sales: CollectionSales,
    recipe: str,
    base: LocalConfig,
    adopted: Sequence[Adopted],
    config: TuningConfig,
    backend: Backend,
) -> Scope:
    """A collection's folds over its out-of-fold residuals, and the settings its booster has now.

    Raises:
        TooFewSalesError: When a window would be too small for a result.
    """
    rows = np.flatnonzero(sales.fold > 0)
    known, residual = sales.known_at[rows], (sales.target_log - sales.prediction_log)[rows]
    inputs = sales.inputs.rows(rows)
    # In known order, like the windows of the gate (`ml.training.candidate`).
    windows = split_windows(known, known, config.windows)
    later_rows = np.concatenate([window.score for window in windows.later])
    return Scope(
        kind=COLLECTION,
        name=sales.collection,
        recipe=recipe,
        space=LOCAL_SPACE,
        in_force=current(LOCAL_SPACE, settings_at(base, adopted, None)),
        default=current(LOCAL_SPACE, base),
        windows=windows,
        search=ObjectiveOnBackend(LocalObjective(inputs, residual, windows.tuning, base), backend),
        later=ObjectiveOnBackend(LocalObjective(inputs, residual, windows.later, base), backend),
        clusters=clusters_of(np.zeros(len(later_rows), np.int64), known[later_rows], CLUSTER_DAYS),
    )


def _rest_classes(
    journal: Journal, recipe: str, candidates: Sequence[Worth], rule: WorthRule
) -> list[Outcome]:
    """A class rests when several of its studies stand and none paid."""
    members = {worth.collection: worth for worth in candidates}
    with journal.lake.read() as con:
        judged = [row for row in newest_verdicts(con, recipe, COLLECTION) if row[0] in members]
    resting = journal.standing(recipe, CLASS)
    outcomes = []
    for group in sorted({members[row[0]].group for row in judged}):
        newest = max(worth.newest for worth in candidates if worth.group == group)
        own = [row for row in judged if members[row[0]].group == group and row[3] > members[row[0]].newest]
        if group in resting and resting[group] > newest:
            continue
        if len(own) < rule.class_studies or any(paid for _, _, paid, _ in own):
            continue
        reason = f"none of {len(own)} studies of this class paid on its later window"
        until = newest + timedelta(days=rule.class_rest_days)
        verdict = Verdict(
            CLASS,
            group,
            recipe,
            own[-1][1],
            None,
            False,
            "class_buys_nothing",
            reason,
            {},
            newest,
            newest,
            until,
            0,
            0.0,
        )
        journal.decide(verdict)
        outcomes.append(Outcome(CLASS, group, reason, None, verdict))
    return outcomes
