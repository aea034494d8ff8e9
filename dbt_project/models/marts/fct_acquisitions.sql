{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=2500,
    )
}}

with moves as (
    select * from {{ ref("int_moves") }}
    where {{ in_scope("int_moves") }}
),

states as (
    select * from {{ ref("fct_collection_state") }}
),

rates as (
    select * from {{ ref("stg_exchange_rates") }}
),

ether_rates as (
    {{ rates_of_ether() }}
),

gas as (
    select * from {{ ref("int_move_gas") }}
    where paid_by = 'buyer'
),

-- the cost: the price, what the buyer paid beside it, and gas
received as (
    select
        moves.* exclude (price_wei, price_usd),
        gas.gas_wei,
        moves.price_wei + coalesce(moves.buyer_fees_wei, 0) + coalesce(gas.gas_wei, 0) as paid_wei,
        moves.price_usd * paid_wei::double / nullif(moves.price_wei, 0)::double as paid_usd
    from moves
    left join gas on moves.move_id = gas.move_id
    where moves.to_wallet is not null and moves.to_wallet <> {{ zero_address() }}
),

given as (
    select * from moves
    where from_wallet is not null and from_wallet <> {{ zero_address() }}
),

-- what comes to and goes from a wallet that gives some of it away
events as (
    select
        move_id,
        collection,
        token_id,
        to_wallet as wallet,
        event_time,
        log_index,
        tx_hash,
        place_in_tx,
        0 as is_given,
        quantity as units
    from received
    semi join given
        on
            received.collection = given.collection
            and received.token_id = given.token_id
            and received.to_wallet = given.from_wallet
    union all
    select
        move_id,
        collection,
        token_id,
        from_wallet as wallet,
        event_time,
        log_index,
        tx_hash,
        place_in_tx,
        1 as is_given,
        -quantity as units
    from given
),

-- who got everything first, and enough of it, had what was given away
doubtful as (
    select
        collection,
        token_id,
        wallet
    from events
    group by collection, token_id, wallet
    having
        sum(units) < 0
        or max(event_time) filter (where is_given = 0) > min(event_time) filter (where is_given = 1)
),

-- what a wallet gave away without having it: it got it in a way that no row shows
balances as (
    select
        *,
        sum(units) over in_order as balance
    from events
    semi join doubtful using (collection, token_id, wallet)
    window in_order as (
        partition by collection, token_id, wallet
        -- what comes and goes at one time came first
        order by event_time, is_given, log_index, tx_hash, place_in_tx, move_id
    )
),

shortages as (
    select
        *,
        least(0, min(balance) over before) as lowest_before,
        least(0, balance, min(balance) over before) as lowest
    from balances
    window before as (
        partition by collection, token_id, wallet
        order by event_time, is_given, log_index, tx_hash, place_in_tx, move_id
        rows between unbounded preceding and 1 preceding
    )
),

untraced as (
    select
        given.*,
        (coalesce(shortages.lowest_before, 0) - shortages.lowest)::bigint as missing
    from given
    inner join shortages on given.move_id = shortages.move_id and shortages.is_given = 1
    where shortages.lowest < coalesce(shortages.lowest_before, 0)
),

airdrop_values as (
    select
        received.move_id,
        {{ to_wei("state.p20_50 * received.quantity") }} as value_wei,
        state.p20_50 * received.quantity * {{ fresh_rate("ether", "received.event_time") }} as value_usd
    from received
    asof inner join states as state
        on received.collection = state.collection and received.event_time > state.known_at
    asof left join ether_rates as ether on received.event_time >= ether.known_at
    where received.is_airdrop
),

acquired as (
    select
        received.move_id as acquisition_id,
        received.chain,
        received.collection,
        received.token_id,
        received.to_wallet as wallet,
        case
            when received.from_wallet = {{ zero_address() }} and received.paid_wei is not null then 'minted'
            when received.paid_wei is not null then 'bought'
            when received.evidence = 'unseen' then 'untraced'
            when received.is_airdrop then 'airdropped'
            when received.from_wallet = {{ zero_address() }} then 'minted'
            else 'received'
        end as kind,
        received.from_wallet,
        case when received.evidence <> 'unseen' then received.event_time end as acquired_at,
        received.event_time as ordered_at,
        0 as is_shortage,
        received.time_uncertainty_s,
        received.known_at,
        received.tx_hash,
        received.log_index,
        received.place_in_tx,
        received.quantity,
        case
            when not received.is_airdrop then received.paid_wei
            when '{{ var("airdrop_basis") }}' = 'value' then airdrop_values.value_wei
            else 0
        end::decimal(38, 0) as cost_wei,
        case
            when not received.is_airdrop then received.paid_usd
            when '{{ var("airdrop_basis") }}' = 'value' then airdrop_values.value_usd
            else 0
        end as cost_usd,
        received.buyer_fees_wei as fees_wei,
        received.gas_wei,
        received.no_price_reason,
        received.price_native,
        received.currency,
        received.marketplace,
        received.is_bundle_share
    from received
    left join airdrop_values on received.move_id = airdrop_values.move_id
    union all
    select
        md5('untraced|' || move_id) as acquisition_id,
        chain,
        collection,
        token_id,
        from_wallet as wallet,
        'untraced' as kind,
        null as from_wallet,
        null as acquired_at,
        event_time as ordered_at,
        1 as is_shortage,
        null as time_uncertainty_s,
        known_at,
        tx_hash,
        log_index,
        place_in_tx,
        missing as quantity,
        null as cost_wei,
        null as cost_usd,
        null as fees_wei,
        null as gas_wei,
        null as no_price_reason,
        null as price_native,
        null as currency,
        null as marketplace,
        false as is_bundle_share
    from untraced
),

acquired_again as (
    select
        collection,
        token_id,
        wallet
    from acquired
    group by collection, token_id, wallet
    having count(*) > 1
),

in_sequence as (
    select
        *,
        sum(quantity) over (
            partition by collection, token_id, wallet
            order by ordered_at, is_shortage, log_index, tx_hash, place_in_tx, acquisition_id
        )::bigint as until_unit
    from acquired
    semi join acquired_again using (collection, token_id, wallet)
    union all by name
    select
        *,
        quantity as until_unit
    from acquired
    anti join acquired_again using (collection, token_id, wallet)
),

final as (
    select
        acquisition_id,
        chain,
        collection,
        token_id,
        wallet,
        kind,
        from_wallet,
        acquired_at,
        time_uncertainty_s,
        known_at,
        tx_hash,
        log_index,
        place_in_tx,
        quantity,
        until_unit,
        cost_wei,
        cost_usd,
        fees_wei,
        gas_wei,
        case
            when cost_wei is null then 'unknown'
            when kind = 'airdropped' then 'airdropped'
            when kind = 'minted' then 'minted'
            else 'known'
        end as basis_status,
        case
            when cost_wei is not null then null
            when kind = 'untraced' then 'no_record_of_acquisition'
            when kind = 'airdropped' then 'no_value_when_airdropped'
            when no_price_reason = 'no_sale' and kind = 'minted' then 'mint_without_price'
            when no_price_reason = 'no_sale' then 'received_without_price'
            else no_price_reason
        end as unknown_basis_reason,
        price_native,
        currency,
        marketplace,
        is_bundle_share
    from in_sequence
)

select * from final
