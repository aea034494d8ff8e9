{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=2500,
    )
}}

with custody as (
    select * from {{ ref("custody_contracts") }}
),

moved as (
    select * from {{ ref("int_transaction_moves") }}
    where {{ in_scope("int_transaction_moves") }}
),

-- Most tokens have moved once, when they were minted: nothing has to be put in order there.
moved_again as (
    select
        collection,
        token_id,
        -- units of the token can belong to several wallets at once: a contract's units are counted per depositor
        max(quantity) > 1
        or sum(case when from_wallet = {{ zero_address() }} then quantity else 0 end)
        - sum(case when to_wallet = {{ zero_address() }} then quantity else 0 end) > 1 as is_multiple
    from moved
    group by collection, token_id
    having count(*) > 1 or is_multiple
),

-- what goes into custody stays the wallet's that put it there
moved_once as (
    select
        moved.* exclude (to_wallet),
        case when custody.address is null then moved.to_wallet else moved.from_wallet end as to_wallet
    from moved
    anti join moved_again on moved.collection = moved_again.collection and moved.token_id = moved_again.token_id
    left join custody on moved.chain = custody.chain and moved.to_wallet = custody.address
),

moved_often as (
    select
        moved.*,
        moved_again.is_multiple
    from moved
    inner join moved_again on moved.collection = moved_again.collection and moved.token_id = moved_again.token_id
),

-- At one time, a move by who gets the token at that time comes after that: sources number the logs of a transaction in
-- any order, and give the time of a day.
followers as (
    select distinct
        later.collection,
        later.token_id,
        later.event_time,
        later.tx_hash,
        later.from_wallet
    from moved_often as later
    inner join moved_often as earlier
        on
            later.collection = earlier.collection
            and later.token_id = earlier.token_id
            and later.event_time = earlier.event_time
            and later.from_wallet = earlier.to_wallet
            and later.to_wallet <> earlier.from_wallet
    where later.from_wallet <> ''
),

in_order as (
    select
        moved.*,
        giver.address is not null as is_from_custody,
        receiver.address is not null as is_to_custody,
        row_number() over (
            partition by moved.collection, moved.token_id
            order by
                moved.event_time, followers.token_id is not null, moved.log_index, moved.tx_hash, moved.place_in_tx,
                moved.from_wallet, moved.to_wallet
        ) as place
    from moved_often as moved
    left join followers
        on
            moved.collection = followers.collection
            and moved.token_id = followers.token_id
            and moved.event_time = followers.event_time
            and moved.tx_hash = followers.tx_hash
            and moved.from_wallet = followers.from_wallet
    left join custody as giver on moved.chain = giver.chain and moved.from_wallet = giver.address
    left join custody as receiver on moved.chain = receiver.chain and moved.to_wallet = receiver.address
),

custodial as (
    select distinct
        collection,
        token_id
    from in_order
    where is_from_custody or is_to_custody
),

-- single tokens: the owner is the last receiver that is no custody contract
with_owner as (
    select
        *,
        last_value(case when not is_to_custody then to_wallet end ignore nulls) over (
            partition by collection, token_id
            order by place
            rows between unbounded preceding and 1 preceding
        ) as owner
    from in_order
    semi join custodial using (collection, token_id)
    where not is_multiple
),

single_moves as (
    select
        * exclude (owner, from_wallet, to_wallet),
        case when is_from_custody then coalesce(owner, from_wallet) else from_wallet end as from_wallet,
        case
            when not is_to_custody then to_wallet
            when is_from_custody then coalesce(owner, from_wallet)
            else with_owner.from_wallet
        end as to_wallet
    from with_owner
    union all by name
    select in_order.* from in_order
    anti join custodial on in_order.collection = custodial.collection and in_order.token_id = custodial.token_id
    where not in_order.is_multiple
),

-- Several units: what a wallet has put into a contract comes back to it; what it takes beyond that is another's.
deposits as (
    select
        *,
        case when is_to_custody then from_wallet else to_wallet end as depositor,
        case when is_to_custody then to_wallet else from_wallet end as contract,
        sum(case when is_to_custody then quantity else -quantity end) over (
            partition by collection, token_id, depositor, contract
            order by place
        ) as deposited
    from in_order
    where is_multiple and is_from_custody <> is_to_custody
),

beyond_deposits as (
    select
        *,
        least(0, min(deposited) over (
            partition by collection, token_id, depositor, contract
            order by place
        )) as lowest,
        coalesce(least(0, min(deposited) over (
            partition by collection, token_id, depositor, contract
            order by place
            rows between unbounded preceding and 1 preceding
        )), 0) as lowest_before
    from deposits
),

multiple_moves as (
    select
        * exclude (from_wallet, to_wallet),
        from_wallet,
        to_wallet
    from in_order
    where is_multiple and not is_from_custody and not is_to_custody
    union all by name
    select
        * exclude (depositor, contract, deposited, lowest, lowest_before, from_wallet, quantity),
        coalesce(seller, from_wallet) as from_wallet,
        (lowest_before - lowest)::bigint as quantity
    from beyond_deposits
    where is_from_custody and lowest < lowest_before
),

known_moves as (
    select * from single_moves
    where from_wallet <> to_wallet or from_wallet = ''
    union all by name
    select * from multiple_moves
    where from_wallet <> to_wallet and quantity > 0
),

-- A single token that somebody else gives away has left its owner before: no row shows it, but he has it no more.
owners_before as (
    select
        *,
        lag(to_wallet) over (partition by collection, token_id order by place) as owner_before
    from known_moves
    where not is_multiple
),

unseen_moves as (
    select
        * exclude (
            from_wallet, to_wallet, owner_before, evidence, sale_id, seller, price_wei, fees_wei, buyer_fees_wei,
            price_usd, no_price_reason, currency, price_native, marketplace, is_bundle_share, given_to_wallets
        ),
        owner_before as from_wallet,
        from_wallet as to_wallet,
        'unseen' as evidence
    from owners_before
    where
        owner_before <> from_wallet
        and owner_before not in ('', {{ zero_address() }})
        and from_wallet <> {{ zero_address() }}
),

-- only there can a transaction hold two moves from one wallet to another
rewritten as (
    select
        collection,
        token_id
    from custodial
    union
    select
        collection,
        token_id
    from unseen_moves
),

in_sequence as (
    select
        *,
        row_number() over (partition by chain, collection, token_id, tx_hash, from_wallet, to_wallet order by place) as nth
    from (
        select * from known_moves
        union all by name
        select * from unseen_moves
    ) as all_moves
    semi join rewritten using (collection, token_id)
),

owned as (
    select * from in_sequence
    union all by name
    select
        known_moves.*,
        1 as nth
    from known_moves
    anti join rewritten on known_moves.collection = rewritten.collection and known_moves.token_id = rewritten.token_id
    union all by name
    select
        *,
        1 as nth
    from moved_once
    where from_wallet <> to_wallet or from_wallet = ''
),

final as (
    select
        md5(concat_ws('|', chain, collection, token_id, tx_hash, from_wallet, to_wallet, nth, evidence)) as move_id,
        chain,
        collection,
        token_id,
        tx_hash,
        log_index,
        place_in_tx,
        event_time,
        time_uncertainty_s,
        known_at,
        nullif(from_wallet, '') as from_wallet,
        nullif(to_wallet, '') as to_wallet,
        quantity,
        evidence,
        sale_id,
        price_wei,
        fees_wei,
        buyer_fees_wei,
        price_usd,
        case when price_wei is null then coalesce(no_price_reason, 'no_sale') end as no_price_reason,
        price_native,
        currency,
        marketplace,
        coalesce(is_bundle_share, false) as is_bundle_share,
        price_wei is null and coalesce(given_to_wallets, 0) >= {{ var("airdrop_wallets") }} as is_airdrop
    from owned
)

select * from final
