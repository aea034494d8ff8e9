{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_tail("replaced"),
    )
}}

with sales as (
    select * from {{ ref("fct_sales") }}
    where is_arms_length
),

{% if is_incremental() %}
first_positions as (
    select
        sales.collection,
        min(sales.seq) as seq
    from sales
    where {{ in_dirty_tail("sales") }}
    group by sales.collection
),

-- the tail and the longest window before it
windowed as (
    select sales.*
    from sales
    inner join first_positions
        on sales.collection = first_positions.collection and sales.seq > first_positions.seq - 100
),
{% else %}
windowed as (
    select * from sales
),
{% endif %}

states as (
    select
        collection,
        seq,
        known_at,
        event_time,
        price_eth as last_price_eth,
        median(price_eth) over (last_n rows 4 preceding) as med_5,
        median(price_eth) over (last_n rows 9 preceding) as med_10,
        median(price_eth) over (last_n rows 29 preceding) as med_30,
        median(price_eth) over (last_n rows 99 preceding) as med_100,
        quantile_cont(price_eth, 0.2) over (last_n rows 19 preceding) as p20_20,
        quantile_cont(price_eth, [0.1, 0.2, 0.8]) over (last_n rows 49 preceding) as quantiles_50,
        min(price_eth) over (last_n rows 9 preceding) as min_10,
        lag(event_time, 29) over last_n as started_30_at,
        lag(event_time, 4) over last_n as started_5_at
    from windowed
    window last_n as (partition by collection order by seq)
),

final as (
    select
        collection,
        seq,
        known_at,
        event_time,
        last_price_eth,
        med_5,
        med_10,
        med_30,
        med_100,
        p20_20,
        quantiles_50[2] as p20_50,
        quantiles_50[1] as p10_50,
        quantiles_50[3] as p80_50,
        min_10,
        ln(quantiles_50[3] / nullif(quantiles_50[1], 0)) as spread_50,
        started_30_at,
        started_5_at
    from states
    {% if is_incremental() -%}
    where {{ in_dirty_tail("states") }}
    {%- endif %}
)

select * from final
