"""What the rule against new wallets costs on real rises, and what it holds of attacks: the frontier of its settings.

    python -m benchmarks.poisoning HOME [SHARE]   # real sales in its marts; writes docs/measured/poisoning.json

The rule's SQL is that of the marts (dbt_project/macros/wallets.sql), run with each setting on the arm's-length sales of
real collections; the index is the production index, the error is that of its estimates before each sale. Attacks are
planted in copies of the last sales of real collections, after them. A rise is a day of a collection whose next three
days are dearer than the three before by 30 % or more, each with five sales at least. The earlier
60 % of the sales and the later 40 % are reported apart. Sales that a setting does not count are judged all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import yaml

from benchmarks.poisoning_result import Outcome, write_result
from lake.config import LakeConfig
from lake.connection import Lake
from ml.index.queries import index_at, sale_queries
from ml.index.update import update_index

DBT = Path(__file__).resolve().parents[1] / "dbt_project"
TARGETS = 8
"""Real collections that are attacked."""

COPIED = 200
"""Latest sales of a target that a copy has: an attack at its end does not depend on what was long before."""

FAKES = 20
TRAINING_SHARE = 0.6
RISE = 1.3


@dataclass(frozen=True)
class Setting:
    """The dbt variables of the rule (dbt_project.yml); no contacts are asked of anybody where the rule is off."""

    known_wallet_contacts: int
    known_wallet_days: int
    known_wallet_price_ratio: float
    known_wallet_spreads: float


SETTINGS = (
    Setting(0, 3, 1.5, 1.5),
    Setting(1, 3, 2.0, 2.0),
    Setting(1, 3, 1.5, 1.5),
    Setting(1, 3, 1.25, 1.0),
    Setting(1, 3, 1.0, 0.0),
    Setting(3, 30, 1.5, 1.5),
)


@dataclass(frozen=True)
class Attack:
    """Twenty or more sales within some days.

    Attributes:
        name: How it is reported.
        multiples: First and last price as a multiple of the usual one; geometric between.
        sales: Number of sales.
        days: Over how many days.
        buyers_known, sellers_known: Whether the wallets had traded with another one ten days before.
        buyers: Different buyers.
    """

    name: str
    multiples: tuple[float, float] = (3.0, 3.0)
    sales: int = FAKES
    days: int = 2
    buyers_known: bool = False
    sellers_known: bool = False
    buyers: int = 60


ATTACKS = (
    Attack("40 new wallets, 3×"),
    Attack("120 new wallets, 3×", sales=60),
    Attack("40 new wallets, 1.5×", (1.5, 1.5)),
    Attack("40 new wallets, a third", (1 / 3, 1 / 3)),
    Attack("new buyers, known sellers, 3×", sellers_known=True),
    Attack("new buyers, known sellers, 1.3× to 3× over six days", (1.3, 3.0), days=6, sellers_known=True),
    Attack("five known buyers, 3×", buyers_known=True, sellers_known=True, buyers=5),
    Attack("40 known wallets, 3×", buyers_known=True, sellers_known=True),
)


def rule_sql(setting: Setting) -> tuple[str, str]:
    """The CTEs of the marts for this setting: contacts of wallets, and the sales that do not count."""
    variables = yaml.safe_load((DBT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"] | asdict(
        setting
    )
    text = "\n".join(
        (DBT / "macros" / f"{name}.sql").read_text(encoding="utf-8") for name in ("wallets", "known_order")
    )
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {"var": variables.__getitem__, "ref": lambda model: f"intermediate.{model}"}
    macros: Any = environment.from_string(text).module
    return macros.contacts_of_wallets(None), macros.new_wallet_prints("judged", None)


def load(home: Path, con: duckdb.DuckDBPyConnection, share: float) -> None:
    """The acceptable sales of a share of Ethereum's collections, all reported sales, and an empty index, in memory."""
    with Lake(LakeConfig(home)).read() as lake:
        for table, condition in {
            "marts.fct_sales": f"chain = 'ethereum' and hash(collection) % 1000 < {1000 * share} "
            "and (is_arms_length or wash_rules = 'new_wallet')",
            "marts.dim_tokens": "true",
            "intermediate.int_sales_classified": "true",
            "features.hedonic_index": "false",
            "features.token_index": "false",
            "features.index_state": "false",
        }.items():
            con.execute(f"create schema if not exists {table.partition('.')[0]}")
            rows = lake.execute(f"select * from {table} where {condition}").to_arrow_table()
            con.register("rows", rows)
            con.execute(f"create table {table} as select * from rows")
            con.unregister("rows")
    con.execute(
        "create table real as select * exclude (buyer_contacts, seller_contacts) from marts.fct_sales"
    )


def plant(con: duckdb.DuckDBPyConnection) -> None:
    """Copies of collections, one for each attack and one that nobody attacks, and the attacks' sales."""
    targets = con.execute(
        """
        select collection, max(known_at), median(price_eth) filter (where seq > newest - 30)
        from (select *, max(seq) over (partition by collection) as newest from real)
        group by collection
        having count(*) between 200 and 1200 and count(buyer) + count(seller) > 1.9 * count(*)
        order by hash(collection) limit ?
        """,
        [TARGETS],
    ).fetchall()
    con.execute("create table copies (collection varchar, copied varchar)")
    for name in ("none", *(attack.name for attack in ATTACKS)):
        con.executemany("insert into copies values (?, ?)", [(t[0], f"{t[0]}#{name}") for t in targets])
    con.execute(
        f"""
        insert into real select t.* replace (copied as collection, sale_id || copied as sale_id)
        from (from real qualify row_number() over (partition by collection order by seq desc) <= {COPIED}) as t
        join copies using (collection)
        """
    )
    con.execute(
        "insert into marts.dim_tokens select t.* replace (copied as collection) "
        "from marts.dim_tokens as t join copies using (collection)"
    )
    fakes = [row for target in targets for attack in ATTACKS for row in _fakes(con, attack, *target)]
    con.execute(
        "create table fakes as select sale_id, collection, token_id, known_at, price_eth, buyer, seller "
        "from real limit 0"
    )
    con.executemany("insert into fakes values (?, ?, ?, ?, ?, ?, ?)", fakes)
    con.execute(
        """
        insert into real by name
        select *, 'ethereum' as chain, sale_id as tx_hash, 0 as log_index, 0 as sub_index, known_at as event_time,
            known_at as as_of, 1 as n_in_tx from fakes
        """
    )
    for party in ("buyer", "seller"):
        con.execute(
            f"""
            insert into intermediate.int_sales_classified by name
            select distinct on ({party}) 'met' || {party} as sale_id, {party} as buyer, 'somebody' as seller,
                known_at - interval 10 day as known_at
            from fakes where {party} like '0xknown%' order by {party}, known_at
            """
        )


def _fakes(
    con: duckdb.DuckDBPyConnection, attack: Attack, collection: str, start: datetime, price: float
) -> Iterator[tuple[Any, ...]]:
    tokens = con.execute(
        "select distinct token_id from real where collection = ? order by hash(token_id) limit ?",
        [collection, attack.sales],
    ).fetchall()
    name = f"{collection}#{attack.name}"
    for i in range(attack.sales):
        share = i / (attack.sales - 1)
        multiple = attack.multiples[0] * (attack.multiples[1] / attack.multiples[0]) ** share
        at = start + timedelta(days=attack.days * (i + 1) / attack.sales)
        buyer = f"0x{'known' if attack.buyers_known else 'new'}-b{i % attack.buyers}{name}"
        seller = f"0x{'known' if attack.sellers_known else 'new'}-s{i}{name}"
        yield f"{name}:{i}", name, tokens[i % len(tokens)][0], at, multiple * price, buyer, seller


def apply_rule(con: duckdb.DuckDBPyConnection, setting: Setting) -> None:
    """Table `judged`: the sales of table `real`, with contacts of both sides and whether the rule leaves them out."""
    contacts, prints = rule_sql(setting)
    long_before = f"interval {setting.known_wallet_days} day"
    con.execute(
        f"""
        create or replace table judged as
        with {contacts}
        select real.*, true as is_acceptable,
            case when buyer is not null then coalesce(b.met, 0) end as buyer_contacts,
            case when seller is not null then coalesce(s.met, 0) end as seller_contacts
        from real
        asof left join contacts as b on real.buyer = b.wallet and real.known_at - {long_before} > b.known_at
        asof left join contacts as s on real.seller = s.wallet and real.known_at - {long_before} > s.known_at
        """
    )
    con.execute(
        f"""
        create or replace table judged as
        with {prints}
        select judged.*, new_wallet_prints.sale_id is not null as left_out
        from judged left join new_wallet_prints using (sale_id)
        """
    )


def apply(con: duckdb.DuckDBPyConnection, setting: Setting) -> None:
    """`marts.fct_sales` and the index as they are with this setting."""
    apply_rule(con, setting)
    con.execute(
        """
        create or replace table marts.fct_sales as
        select judged.* replace (
            case when not left_out then row_number() over (
                partition by collection, left_out
                order by known_at, event_time, tx_hash, log_index, sub_index, sale_id
            ) end as seq
        )
        from judged
        """
    )
    for table in ("hedonic_index", "token_index", "index_state"):
        con.execute(f"delete from features.{table}")
    update_index(con)


def estimates(con: duckdb.DuckDBPyConnection, into: str) -> None:
    """What the index said before each real sale, whether it counts or not."""
    sale_queries(con, "asked", "seq is null and not contains(collection, '#')")
    index_at(con, "asked", "answered")
    con.execute(
        f"""
        create or replace table {into} as
        select sale_id, s.collection, s.as_of, ln(price_eth) as log_price, s.left_out,
            coalesce(h.a_mean, a.a_mean) as estimate, coalesce(h.b_trait, a.b_trait) as trait
        from marts.fct_sales as s
        left join features.hedonic_index as h using (sale_id)
        left join answered as a using (sale_id)
        where not contains(s.collection, '#')
        """
    )


def mark_rises(con: duckdb.DuckDBPyConnection) -> None:
    """`judged_sales`: those of table `base` that have an estimate, whether in a rise, whether in the training part."""
    con.execute(
        f"""
        create table judged_sales as
        with days as (select distinct collection, date_trunc('day', as_of) as day from base),
        sides as (
            select days.*,
                median(log_price - trait) filter (where as_of < day) as before,
                median(log_price - trait) filter (where as_of >= day) as after,
                count(*) filter (where as_of < day) as n_before, count(*) filter (where as_of >= day) as n_after
            from days join base on base.collection = days.collection
                and as_of >= day - interval 3 day and as_of < day + interval 3 day
            group by all
        ),
        rises as (select * from sides where after - before >= ln({RISE}) and n_before >= 5 and n_after >= 5)
        select sale_id, abs(exp(estimate - log_price) - 1) as error_before,
            exists (select 1 from rises where rises.collection = base.collection
                and as_of >= day and as_of < day + interval 3 day) as in_rise,
            as_of < (select quantile_cont(as_of, {TRAINING_SHARE}) from base) as in_training
        from base where estimate is not null
        """
    )


def measured(con: duckdb.DuckDBPyConnection, setting: Setting) -> Outcome:
    """Errors with this setting as a ratio of those without the rule, and how far each attack moves the level."""
    estimates(con, "found")
    rows = con.execute(
        """
        select in_training, in_rise, count(*), median(error_before),
            median(abs(exp(estimate - log_price) - 1)), avg(left_out::int)
        from judged_sales join found using (sale_id) group by grouping sets ((in_training, in_rise), (in_training))
        """
    ).fetchall()
    errors = {
        f"{'training' if row[0] else 'later'}, {'all' if row[1] is None else 'rises' if row[1] else 'no rise'}": {
            "sales": row[2],
            "mdape_off": row[3],
            "mdape": row[4],
            "left_out": row[5],
        }
        for row in rows
    }
    moves: dict[str, dict[str, float]] = {}
    for collection, attack, share in con.execute(
        """
        with levels as (select collection, any_value(a_level) as level from features.token_index group by 1)
        select split_part(t.collection, '#', 1), split_part(t.collection, '#', 2), abs(exp(t.level - o.level) - 1)
        from levels as t join levels as o on o.collection = split_part(t.collection, '#', 1) || '#none'
        where contains(t.collection, '#') and not ends_with(t.collection, '#none')
        order by all
        """
    ).fetchall():
        moves.setdefault(attack, {})[collection] = round(share, 4)
    return Outcome({f.name: getattr(setting, f.name) for f in fields(setting)}, errors, moves)


def main() -> None:
    """Measure every setting, print, and keep the result."""
    con = duckdb.connect()
    load(Path(sys.argv[1]), con, float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
    plant(con)
    outcomes: list[Outcome] = []
    for setting in SETTINGS:
        apply(con, setting)
        if not outcomes:
            estimates(con, "base")
            mark_rises(con)
        outcomes.append(measured(con, setting))
        print(outcomes[-1], flush=True)
    write_result(outcomes, [attack.name for attack in ATTACKS])


if __name__ == "__main__":
    main()
