{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_collection("replaced"),
    )
}}

with sales as (
    select * from {{ ref("fct_sales") }}
    {% if is_incremental() -%}
    where {{ in_dirty_collection("fct_sales") }}
    {%- endif %}
),

states as (
    select * from {{ ref("fct_collection_state") }}
    {% if is_incremental() -%}
    where {{ in_dirty_collection("fct_collection_state") }}
    {%- endif %}
),

-- decimals sum to the same number in any order, doubles do not
days as (
    select
        collection,
        event_time::date as day,
        count(*) as raw_sales,
        count(*) filter (where is_arms_length) as sales,
        coalesce(sum(price_eth::decimal(38, 12)) filter (where is_arms_length), 0)::double as volume_eth,
        min(price_eth) filter (where is_arms_length) as floor_eth
    from sales
    group by all
),

with_velocity as (
    select
        *,
        (sum(sales) over (last_days range between interval 6 days preceding and current row))::bigint as sales_7d,
        (sum(sales) over (last_days range between interval 29 days preceding and current row))::bigint as sales_30d
    from days
    window last_days as (partition by collection order by day)
),

-- the state of the collection at the end of the day: the last one known by then
final as (
    select
        with_velocity.collection,
        with_velocity.day,
        with_velocity.raw_sales,
        with_velocity.sales,
        with_velocity.volume_eth,
        with_velocity.floor_eth,
        states.p20_50,
        states.med_30,
        states.spread_50,
        with_velocity.sales_7d,
        with_velocity.sales_30d
    from with_velocity
    asof left join (
        select
            collection,
            known_at,
            p20_50,
            med_30,
            spread_50
        from states
        qualify row_number() over (partition by collection, known_at order by seq desc) = 1
    ) as states
        on
            with_velocity.collection = states.collection
            and with_velocity.day + interval 1 day > states.known_at
)

select * from final
