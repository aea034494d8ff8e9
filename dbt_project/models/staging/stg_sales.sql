with source as (
    {{ by_source("sales") }}
),

final as (
    select
        md5(
            concat_ws(
                '|', chain, tx_hash, log_index, sub_index, collection, token_id,
                -- without a transaction hash the row names the sale, and two sources can have a row of one name
                case when starts_with(tx_hash, 'row:') then delivered_by end
            )
        ) as sale_id,
        chain,
        collection,
        contract,
        token_id,
        tx_hash,
        -- without a transaction hash the key is the source's own row identifier
        not starts_with(tx_hash, 'row:') as has_tx_hash,
        log_index,
        sub_index,
        event_time,
        time_uncertainty_s,
        event_time - to_microseconds((time_uncertainty_s * 1e6)::bigint) as as_of,
        known_at,
        price_native,
        currency,
        coalesce(quantity, 1) as quantity,
        n_in_tx as declared_n_in_tx,
        coalesce(is_bundle_share, false) as is_bundle_share,
        sale_type,
        marketplace,
        -- the zero address is no trader
        nullif(lower(buyer), '0x0000000000000000000000000000000000000000') as buyer,
        nullif(lower(seller), '0x0000000000000000000000000000000000000000') as seller,
        superseded_by is not null as is_superseded,
        delivered_by,
        priority,
        source,
        source_row
    from source
)

select * from final
