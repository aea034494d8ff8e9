"""What sales of each trait value have been off by: SQL for ``query``.

What is here: the supplier ``trait_effects``, one row per token and prefix of the spine with traits. What is not: the
features' formulas (`ml.features.schema`), and the smooth effect of traits, which the index carries.

The concept. The index shares a sale's surprise among tokens in proportion to their similarity; a value that is
worth more than its rarity implies keeps surprising it. The mean surprise of a value's visible sales, shrunk by five
sales without one, measures that (docs/domain.md, section 5.2). It is a state after ``seq`` like everything trailing.
"""

#: Sales without surprise that a trait value's mean is shrunk by.
TRAIT_SHRINK_SALES = 5
#: Bound on one sale's surprise, ln: a typo must not dominate a trait value.
SURPRISE_CLIP = 0.6

TRAIT_SUPPLIERS = f"""
trait_sales as (
    select
        index_rows.collection, index_rows.seq,
        greatest(-{SURPRISE_CLIP}, least({SURPRISE_CLIP}, innovation_a)) as surprise,
        unnest(trait_codes) as code, generate_subscripts(trait_codes, 1) as place
    from index_rows
    inner join scoped_tokens
        on index_rows.collection = scoped_tokens.collection and index_rows.token_id = scoped_tokens.token_id
    where innovation_a is not null
),
trait_states as (
    select
        collection, place, code, seq,
        sum(surprise) over so_far / (count(*) over so_far + {TRAIT_SHRINK_SALES}) as residual,
        count(*) over so_far as sales
    from trait_sales
    window so_far as (partition by collection, place, code order by seq)
),
traits_asked as (
    select
        asked.collection, asked.token_id, asked.prefix,
        unnest(trait_codes) as code, unnest(trait_information) as information,
        generate_subscripts(trait_codes, 1) as place
    from (select distinct collection, token_id, prefix from {{spine}}) as asked
    inner join scoped_tokens
        on asked.collection = scoped_tokens.collection and asked.token_id = scoped_tokens.token_id
),
-- thousands of tokens share a value at one prefix: each value is read once
values_asked as (select distinct collection, place, code, prefix from traits_asked),
values_known as (
    select values_asked.*, coalesce(residual, 0) as residual, coalesce(sales, 0) as sales
    from values_asked
    asof left join trait_states
        on values_asked.collection = trait_states.collection and values_asked.place = trait_states.place
        and values_asked.code = trait_states.code and values_asked.prefix >= trait_states.seq
),
trait_effects as (
    select
        traits_asked.collection, traits_asked.token_id, traits_asked.prefix,
        max(residual) as highest, min(residual) as lowest, avg(residual) as mean,
        sum(residual * information) / nullif(sum(information), 0) as weighted,
        arg_max(residual, (information, -traits_asked.place)) as rarest,
        arg_max(sales, (information, -traits_asked.place)) as rarest_sales
    from traits_asked
    inner join values_known
        on traits_asked.collection = values_known.collection and traits_asked.place = values_known.place
        and traits_asked.code = values_known.code and traits_asked.prefix = values_known.prefix
    group by all
)
"""
