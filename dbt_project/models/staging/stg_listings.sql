with source as (
    {{ by_source("listings") }}
),

final as (
    select
        md5(
            concat_ws(
                '|', chain, order_id, event_kind, case when starts_with(order_id, 'row:') then delivered_by end
            )
        ) as listing_event_id,
        chain,
        collection,
        token_id,
        order_id,
        event_kind,
        side,
        price_native,
        currency,
        lower(maker) as maker,
        marketplace,
        valid_until,
        event_time,
        time_uncertainty_s,
        known_at,
        delivered_by,
        priority,
        source,
        source_row
    from source
)

select * from final
