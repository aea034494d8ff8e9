{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=1500,
    )
}}

with moves as (
    select * from {{ ref("int_moves") }}
    where {{ in_scope("int_moves") }}
),

gas as (
    select * from {{ ref("int_move_gas") }}
    where paid_by = 'seller'
),

-- proceeds are what the seller keeps: fees and royalties are paid from the price, gas by who sent the transaction
given as (
    select
        moves.* exclude (fees_wei),
        gas.gas_wei,
        case
            when moves.fees_wei is not null or gas.gas_wei is not null
                then coalesce(moves.fees_wei, 0) + coalesce(gas.gas_wei, 0)
        end as fees_wei
    from moves
    left join gas on moves.move_id = gas.move_id
    where moves.from_wallet is not null and moves.from_wallet <> {{ zero_address() }}
),

final as (
    select
        move_id as disposal_id,
        chain,
        collection,
        token_id,
        from_wallet as wallet,
        case
            when price_wei is not null then 'sold'
            when evidence = 'unseen' then 'unseen'
            when to_wallet = {{ zero_address() }} then 'burned'
            else 'sent'
        end as kind,
        to_wallet,
        event_time as disposed_at,
        time_uncertainty_s,
        known_at,
        tx_hash,
        log_index,
        place_in_tx,
        quantity,
        (sum(quantity) over in_order)::bigint as until_unit,
        price_wei,
        fees_wei,
        gas_wei,
        price_wei - coalesce(fees_wei, 0) as proceeds_wei,
        price_usd * (price_wei - coalesce(fees_wei, 0))::double / nullif(price_wei, 0)::double as proceeds_usd,
        no_price_reason as no_proceeds_reason,
        price_native,
        currency,
        marketplace,
        is_bundle_share
    from given
    window in_order as (
        partition by collection, token_id, from_wallet
        order by event_time, log_index, tx_hash, place_in_tx, move_id
    )
)

select * from final
