"""The one statement that scores every collection × feature.

Here: windows, distances, p-values, false-discovery control and hysteresis, in SQL. Not here: where the values come
from (`ml.drift.subjects`), tables (`ml.drift.tables`).

The concept. The three newest windows of a collection are each compared with the twelve before them. Sales of one
collection depend on one another, so the textbook p-value would find drift everywhere. But each window *within* the
reference, compared with the rest of it, shows how far windows of this feature in this collection differ when nothing
happened; distances are measured in units of that ("ordinary"), never of less than independent sales would give. A
feature that wanders by nature thereby needs a far larger jump than one that does not, without any model of time.

Formulas. With shares at the reference's deciles, KS = max |F_window − F_reference|, PSI = Σ (q − r) ln(q / r) over the
ten bins between them, with half a sale added to each bin. Independent samples of n and m have
E[KS √(nm/(n+m))] = √(π/2) ln 2; inflation is the mean of the reference windows (plus `caution` standard errors) over
that; p = 2 Σ (−1)^(k−1) exp(−2 k² λ²) with λ (`excess`) = KS √(nm/(n+m)) / inflation (Kolmogorov 1933). q-values:
Benjamini and Hochberg 1995.
"""

from __future__ import annotations

import math

from ml.drift.config import DriftConfig
from ml.drift.subjects import SUBJECTS, UNKNOWN
from ml.states import DriftState

#: Mean of Kolmogorov's distribution: what a distance between independent samples comes to, times √(nm/(n+m)).
MEAN_DISTANCE = math.sqrt(math.pi / 2) * math.log(2)
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))
#: Bins between the deciles; sampling alone gives a PSI of (BINS - 1) (1/n + 1/m).
BINS = len(DECILES) + 1
#: Collections start with a letter or a digit at every source; a market's row cannot be taken for one of them.
MARKET_PREFIX = "(market) "


def windows_sql(rows: str, config: DriftConfig) -> str:
    """SQL for one row per collection and market with something to judge: its grid and its newest full window.

    Args:
        rows: a query or table with collection, market, seq, known_at.
        config: thresholds.
    """
    sizes = " ".join(f"when max(seq) >= {start} then {n}" for start, n in reversed(config.window_sales))
    last_day = "(epoch_us(date_trunc('day', $as_of::timestamp)) // 86400000000 - 1)"
    return f"""
        select
            collection, false as is_market, case {sizes} end as window_sales, max(seq) // window_sales as number
        from ({rows})
        where known_at < $as_of
        group by collection
        having max(known_at) >= $as_of::timestamp - interval {config.active_days} day
        union all by name
        select distinct
            '{MARKET_PREFIX}' || market as collection, true as is_market, 0 as window_sales, {last_day} as number
        from ({rows})
        where known_at < $as_of and known_at >= $as_of::timestamp - interval {config.active_days} day
            and market is not null
    """


def drift_sql(rows: str, due: str, config: DriftConfig) -> str:
    """SQL for one row per due collection (or market) and subject, scored on its newest window.

    Args:
        rows: a query or table with collection, market, seq, known_at and `readings` in the order of SUBJECTS.
        due: a table with what `windows_sql` gives, of the collections to score.
        config: thresholds.

    Returns:
        SQL with the parameter `as_of`; columns as in monitoring.drift_scores.
    """
    judged, oldest = config.judged_windows, config.judged_windows + config.reference_windows - 1
    subjects = ", ".join(f"({i}, '{s.name}', '{s.kind}')" for i, s in enumerate(SUBJECTS))
    cuts = range(1, BINS)
    edges = ", ".join(f"deciles[{i}] as e{i}" for i in cuts)
    below = ", ".join(f"sum(cast(reading <= e{i} as integer))::integer as c{i}" for i in cuts)
    below_sums = ", ".join(f"sum(c{i})::integer as c{i}" for i in cuts)
    ks = ", ".join(f"abs(w.c{i} / w.n - r.c{i} / r.n)" for i in cuts)
    return f"""
with scopes as (
    select *, (row_number() over (order by collection) - 1) * {len(SUBJECTS)} as base from {due}
),
placed as materialized (
    select base, (number - 1 - (seq - 1) // window_sales)::tinyint as age, known_at, readings
    from ({rows}) as sale
    inner join scopes using (collection)
    where known_at < $as_of and number - 1 - (seq - 1) // window_sales between 0 and {oldest}
        and number >= {config.judged_windows + config.least_reference_windows}
    union all
    select base, (number - epoch_us(known_at) // 86400000000)::tinyint as age, known_at, readings
    from ({rows}) as sale
    inner join scopes on scopes.is_market and scopes.collection = '{MARKET_PREFIX}' || sale.market
    where known_at < $as_of and number - epoch_us(known_at) // 86400000000 between 0 and {oldest}
),
spans as (
    select base, min(known_at) filter (age = 0) as window_start, max(known_at) filter (age = 0) as window_end
    from placed
    group by base
),
-- Twice unnested, since holding it would take 2 GB at 3,000 collections.
long as not materialized (
    select age, (base + unnest(range({len(SUBJECTS)})))::integer as test, unnest(readings) as reading
    from placed
),
cut as (
    select test, quantile_disc(reading, {list(DECILES)}) as deciles
    from long
    where age >= {judged} and reading is not null
    group by test
),
edges as (
    select test, {edges} from cut
),
counted as materialized (
    select test, age, count(*)::integer as n, sum(cast(reading > {UNKNOWN / 2} as integer))::integer as known, {below}
    from long
    inner join edges using (test)
    where reading is not null
    group by test, age
),
reference as materialized (
    select test, sum(n)::integer as n, sum(known)::integer as known, count(*) as windows, {below_sums}
    from counted
    where age >= {judged}
    group by test
),
distances as (
    select
        w.test, w.age, w.n, w.known, r.n as reference_n, r.known as reference_known,
        greatest({ks}) as ks,
        {_psi("w", "r")} as psi
    from counted as w
    inner join reference as r using (test)
),
-- A window's distance from the whole reference is that from the rest, times the rest's share.
ordinary as (
    select
        test, count(*) as windows,
        avg(ks * sqrt(n / (1 - n / reference_n))) as mean,
        max(ks * sqrt(n / (1 - n / reference_n))) as largest,
        coalesce(stddev_samp(ks * sqrt(n / (1 - n / reference_n))), 0) / sqrt(count(*)) as error
    from distances
    where age >= {judged} and n < reference_n
    group by test
),
measured as (
    select
        distances.*, ordinary.windows, ordinary.largest,
        greatest(1, (mean + {config.caution} * error) / {MEAN_DISTANCE}) as inflation,
        sqrt(distances.n::double * reference_n / (distances.n + reference_n)) as size_root,
        base, collection, window_sales, number, is_market, id, feature, kind
    from scopes
    cross join (values {subjects}) as subjects (id, feature, kind)
    left join distances on distances.test = base + id and distances.age < {judged}
    left join ordinary on ordinary.test = base + id
),
guarded as (
    select
        *, coalesce(
            n >= {config.least_share} * window_sales
            and (not is_market or n >= {config.least_market_sales})
            and known + reference_known > 0
            and windows >= {config.least_reference_windows}
            and reference_n >= {config.least_share * config.least_reference_windows} * window_sales,
            false
        ) as enough,
        ks * size_root / inflation as excess
    from measured
),
tested as (
    select
        *, case
            when not enough then null
            -- below 0.3 the probability is 1 to five digits, and the series needs many terms
            when excess < 0.3 then 1.0
            else least(1, 2 * (exp(-2 * excess ** 2) - exp(-8 * excess ** 2) + exp(-18 * excess ** 2)
                - exp(-32 * excess ** 2) + exp(-50 * excess ** 2)))
        end as p_value
    from guarded
),
ranked as (
    select
        *, p_value * count(p_value) over () / row_number() over (order by p_value nulls last) as scaled
    from tested
),
controlled as (
    select
        *, case when enough then least(1, min(scaled) over (
            order by p_value desc nulls first range between unbounded preceding and current row
        )) end as q_value
    from ranked
),
voted as (
    select
        *, coalesce(
            q_value <= {config.false_discovery_rate} and ks >= {config.least_ks}
            and ks * size_root >= {config.least_beyond} * largest
            and psi - {BINS - 1} * (1 / n + 1 / reference_n) >= {config.least_psi},
            false
        ) as significant
    from controlled
),
newest as (
    select
        base, id, any_value(collection) as collection, any_value(feature) as feature, any_value(kind) as kind,
        any_value(window_sales) as window_sales, any_value(number) as number,
        coalesce(max(reference_n), 0) as n_reference, coalesce(max(n) filter (age = 0), 0) as n_current,
        max(psi) filter (age = 0) as psi, max(ks) filter (age = 0) as ks,
        max(inflation * {MEAN_DISTANCE} / size_root) filter (age = 0) as ordinary_ks,
        max(p_value) filter (age = 0) as p_value, max(q_value) filter (age = 0) as q_value,
        coalesce(bool_or(enough) filter (age = 0), false) as enough,
        coalesce(bool_or(significant) filter (age = 0), false) as now_significant,
        count(*) filter (significant) as votes,
        -- windows in a row, from the newest, that are significant
        coalesce(min(age) filter (not significant), {judged})::integer as streak
    from voted
    group by base, id
)
select
    $as_of::timestamp as evaluated_at, window_start, window_end, collection, feature, kind, window_sales, number,
    n_reference, n_current, psi, ks, ordinary_ks, p_value, q_value,
    case
        when not enough then '{DriftState.TOO_FEW}'
        when votes >= {config.votes} then '{DriftState.DRIFTED}'
        when now_significant then '{DriftState.SUSPECT}'
        else '{DriftState.OK}'
    end as state,
    case when enough then streak else 0 end as streak
from newest
left join spans using (base)
"""


def _psi(window: str, reference: str) -> str:
    """SQL for the PSI of two rows of cumulative counts c1 … c9 and n, half a sale added to each bin.

    A bin that is empty in both (deciles that coincide) has no information and adds nothing.
    """
    terms = []
    for i in range(1, BINS + 1):
        current, past = _bin(window, i), _bin(reference, i)
        q = f"(({current} + 0.5) / ({window}.n + {BINS / 2}))"
        r = f"(({past} + 0.5) / ({reference}.n + {BINS / 2}))"
        terms.append(f"case when {current} + {past} > 0 then ({q} - {r}) * ln({q} / {r}) else 0 end")
    return "\n        + ".join(terms)


def _bin(row: str, i: int) -> str:
    upper = f"{row}.c{i}" if i < BINS else f"{row}.n"
    return f"({upper} - {row}.c{i - 1})" if i > 1 else upper
