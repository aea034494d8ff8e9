{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_entity_tail("replaced", "listings"),
    )
}}

with listings as (
    select * from {{ ref("stg_listings") }}
    {% if is_incremental() -%}
    where {{ in_dirty_entity("stg_listings", "listings") }}
    {%- endif %}
),

rates as (
    select * from {{ ref("stg_exchange_rates") }}
),

ether_rates as (
    {{ rates_of_ether() }}
),

{% if is_incremental() %}
tail as (
    select * from listings
    where {{ in_dirty_entity_tail("listings", "listings") }}
),

-- an event of the tail may have been reported earlier, too
reports as (
    select listings.* from listings
    where listings.listing_event_id in (select tail.listing_event_id from tail)
),
{% else %}
reports as (
    select * from listings
),
{% endif %}

repeated as (
    select listing_event_id
    from reports
    group by listing_event_id
    having count(*) > 1
),

-- an event that was reported twice counts once, as the preferred source first had it
first_reports as (
    select reports.*
    from reports
    anti join repeated on reports.listing_event_id = repeated.listing_event_id
    union all
    select reports.*
    from reports
    semi join repeated on reports.listing_event_id = repeated.listing_event_id
    qualify row_number() over (
        partition by reports.listing_event_id
        order by reports.priority, reports.known_at, reports.event_time, reports.source, reports.source_row
    ) = 1
),

{{ with_known_rates("first_reports") }},

final as (
    select
        listing_event_id,
        chain,
        collection,
        token_id,
        order_id,
        event_kind,
        side,
        price_native,
        currency,
        case
            when {{ is_eth("currency") }} then price_native
            else price_native * currency_usd / nullif(ether_usd, 0)
        end as price_eth,
        maker,
        marketplace,
        valid_until,
        event_time,
        time_uncertainty_s,
        known_at,
        source
    from with_rates
    {% if is_incremental() -%}
    where {{ in_dirty_entity_tail("with_rates", "listings") }}
    {%- endif %}
)

select * from final
