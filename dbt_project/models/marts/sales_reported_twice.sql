{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces="exists (select 1 from " ~ target.database ~ ".ops.dirty_collections)",
    )
}}

with classified as (
    select * from {{ ref("int_sales_classified") }}
),

others as (
    select * from classified
    where exclusion_reason in ('duplicate', 'duplicate_other_source')
),

counted as (
    select classified.*
    from classified
    semi join others
        on classified.collection = others.collection and classified.token_id = others.token_id
    where coalesce(classified.exclusion_reason not in ('duplicate', 'duplicate_other_source', 'superseded'), true)
),

pairs as (
    select
        counted.sale_id,
        counted.collection,
        counted.token_id,
        counted.delivered_by,
        counted.source,
        counted.source_row,
        others.delivered_by as other_delivered_by,
        others.source as other_source,
        others.source_row as other_source_row,
        counted.price_eth,
        others.price_eth as other_price_eth,
        others.price_eth / nullif(counted.price_eth, 0) as price_ratio,
        abs(epoch(others.event_time) - epoch(counted.event_time)) as seconds_apart,
        epoch(counted.known_at) - epoch(others.known_at) as known_later_s,
        coalesce(
            counted.buyer = others.buyer and counted.seller = others.seller, counted.buyer = others.buyer,
            counted.seller = others.seller
        ) as same_parties,
        counted.tx_hash = others.tx_hash as is_same_transaction
    from others
    inner join counted
        on others.collection = counted.collection and others.token_id = counted.token_id
    where
        {{ reporter("others") }} <> {{ reporter("counted") }}
        and (
            others.tx_hash = counted.tx_hash
            or abs(epoch(others.event_time) - epoch(counted.event_time))
            <= others.time_uncertainty_s + counted.time_uncertainty_s
        )
),

-- of several sales that it could be, the one in its transaction, then the nearest in time
final as (
    select * exclude (is_same_transaction)
    from pairs
    qualify row_number() over (
        partition by other_delivered_by, other_source, other_source_row
        order by is_same_transaction desc, seconds_apart asc, sale_id asc
    ) = 1
)

select * from final
