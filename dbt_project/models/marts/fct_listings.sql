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

-- an event of the tail may have been told before it
tellings as (
    select listings.* from listings
    where listings.listing_event_id in (select tail.listing_event_id from tail)
),
{% else %}
tellings as (
    select * from listings
),
{% endif %}

repeated as (
    select listing_event_id
    from tellings
    group by listing_event_id
    having count(*) > 1
),

-- the same event told twice counts once, as first known
first_tellings as (
    select tellings.*
    from tellings
    anti join repeated on tellings.listing_event_id = repeated.listing_event_id
    union all
    select tellings.*
    from tellings
    semi join repeated on tellings.listing_event_id = repeated.listing_event_id
    qualify row_number() over (
        partition by tellings.listing_event_id
        order by tellings.known_at, tellings.event_time, tellings.source, tellings.source_row
    ) = 1
),

{{ with_known_rates("first_tellings") }},

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
