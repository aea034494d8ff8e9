{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=1500,
    )
}}

with standing as (
    select * from {{ ref("int_sales_classified") }}
    where
        -- other reports of a sale, and sales that a reorganisation removed
        coalesce(exclusion_reason, '') not in ('superseded', 'duplicate', 'duplicate_other_source')
        and {{ in_scope("int_sales_classified") }}
),

sources as (
    select
        name,
        priority
    from {{ target.database }}.ops.sources
),

reports as (
    select
        standing.* exclude (tx_hash),
        {{ transaction_of("standing") }} as tx_hash,
        not starts_with(standing.tx_hash, 'row:') as has_tx_hash,
        {{ reporter("standing") }} as reporter,
        coalesce(sources.priority, 1) as priority,
        coalesce(standing.exclusion_reason in ('missing_price', 'zero_price', 'no_rate'), false) as is_unpriced
    from standing
    left join sources on standing.delivered_by = sources.name
),

-- Reports without a price are not classified as those of another source. They are no sales of their own where
-- another source reports the sale: one with a price counts, then the preferred source.
first_reports as (
    select *
    from reports
    qualify
        first_value(reporter) over (
            partition by chain, collection, token_id, tx_hash
            order by is_unpriced, priority, known_at, time_uncertainty_s, source, source_row
        ) = reporter
),

reported_by_other_source as (
    select distinct later.sale_id
    from first_reports as later
    inner join first_reports as earlier
        on
            later.collection = earlier.collection
            and later.token_id = earlier.token_id
            and later.reporter <> earlier.reporter
            and (
                earlier.is_unpriced, earlier.priority, earlier.known_at, earlier.time_uncertainty_s, earlier.reporter
            )
            < (later.is_unpriced, later.priority, later.known_at, later.time_uncertainty_s, later.reporter)
            and coalesce(later.buyer = earlier.buyer, true)
            and coalesce(later.seller = earlier.seller, true)
            and abs(epoch(later.event_time) - epoch(earlier.event_time))
            <= later.time_uncertainty_s + earlier.time_uncertainty_s
    where later.is_unpriced and not (later.has_tx_hash and earlier.has_tx_hash)
),

classified as (
    select first_reports.* exclude (has_tx_hash, reporter, priority, is_unpriced)
    from first_reports
    anti join reported_by_other_source on first_reports.sale_id = reported_by_other_source.sale_id
),

amounts as (
    select * from {{ ref("stg_sale_amounts") }}
),

wrapped as (
    select * from {{ ref("int_wrapped_tokens") }}
),

transfers as (
    select * from {{ ref("int_transfers") }}
    where {{ in_scope("int_transfers") }}
),

joined as (
    select
        classified.*,
        amounts.price_base_units,
        amounts.decimals,
        amounts.fee_native,
        amounts.royalty_native,
        amounts.buyer_fee_native,
        amounts.sender,
        {{ is_eth("classified.currency") }} as is_ether,
        classified.price_native > 0 and classified.price_eth > 0 as is_priced
    from classified
    left join amounts
        on
            classified.delivered_by is not distinct from amounts.delivered_by
            and classified.source = amounts.source
            and classified.source_row = amounts.source_row
),

in_wei as (
    select
        *,
        case
            when not is_priced then null
            -- the source's own integer, unless the price was replaced by that of the accepted bid
            when
                is_ether and decimals = 18
                and abs(price_base_units::double / 1e18 - price_native) <= 1e-9 * price_native
                then price_base_units
            else {{ to_wei("price_eth") }}
        end as price_wei
    from joined
),

with_fees as (
    select
        *,
        case
            when price_wei is null or (fee_native is null and royalty_native is null) then null
            when is_ether
                then coalesce({{ to_wei("fee_native") }}, 0) + coalesce({{ to_wei("royalty_native") }}, 0)
            else {{ to_wei("price_eth * (coalesce(fee_native, 0) + coalesce(royalty_native, 0)) / price_native") }}
        end as fees_wei,
        case
            when price_wei is null or buyer_fee_native is null then null
            when is_ether then {{ to_wei("buyer_fee_native") }}
            else {{ to_wei("price_eth * buyer_fee_native / price_native") }}
        end as buyer_fees_wei
    from in_wei
),

named as (
    select
        with_fees.* exclude (collection),
        coalesce(wrapped.wrapped_collection, with_fees.collection) as collection
    from with_fees
    left join wrapped on with_fees.collection = wrapped.collection and with_fees.token_id = wrapped.token_id
),

-- where the sale or the transfer has no transaction hash: the nearest transfer by the same wallet
near_transfers as (
    select
        s.sale_id,
        s.source,
        s.source_row,
        t.tx_hash
    from named as s
    inner join transfers as t
        on
            s.collection = t.collection
            and s.token_id = t.token_id
            and s.tx_hash <> t.tx_hash
            and (s.buyer = t.to_wallet or s.seller = t.from_wallet)
            and abs(epoch(s.event_time) - epoch(t.event_time)) <= t.time_uncertainty_s + s.time_uncertainty_s + 60
    where starts_with(s.tx_hash, 'row:') or starts_with(t.tx_hash, 'row:')
    qualify
        row_number() over (
            partition by s.sale_id, s.source, s.source_row
            order by abs(epoch(t.event_time) - epoch(s.event_time)), t.tx_hash
        ) = 1
        and row_number() over (
            partition by t.collection, t.token_id, t.tx_hash
            order by abs(epoch(t.event_time) - epoch(s.event_time)), s.sale_id, s.source, s.source_row
        ) = 1
),

located as (
    select
        named.* exclude (tx_hash),
        coalesce(near_transfers.tx_hash, named.tx_hash) as tx_hash
    from named
    left join near_transfers
        on
            named.sale_id = near_transfers.sale_id
            and named.source = near_transfers.source
            and named.source_row = near_transfers.source_row
),

final as (
    select
        sale_id,
        chain,
        collection,
        token_id,
        tx_hash,
        log_index,
        sub_index,
        event_time,
        time_uncertainty_s,
        known_at,
        quantity,
        buyer,
        seller,
        sale_type,
        marketplace,
        price_native,
        currency,
        price_wei,
        -- more than the price is no fee
        case when fees_wei between 0 and price_wei then fees_wei end as fees_wei,
        buyer_fees_wei,
        sender,
        case when price_wei is not null then price_usd end as price_usd,
        case
            when price_wei is not null then null
            when exclusion_reason in ('missing_price', 'zero_price', 'no_rate') then exclusion_reason
            else 'missing_price'
        end as no_price_reason,
        coalesce(exclusion_reason = 'bundle', false) as is_bundle_share,
        source,
        source_row
    from located
)

select * from final
