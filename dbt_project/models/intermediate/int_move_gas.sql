{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
    )
}}

with reports as (
    select
        chain,
        tx_hash,
        gas_wei,
        gas_payer
    from {{ ref("stg_sale_amounts") }}
    where gas_wei is not null
    union all
    select
        chain,
        {{ transaction_of("transfers") }} as tx_hash,
        gas_wei,
        gas_payer
    from {{ ref("stg_transfers") }} as transfers
    where gas_wei is not null
),

moves as (
    select * from {{ ref("int_moves") }}
    where price_wei > 0
),

sales as (
    select
        sale_id,
        min(sender) as sender
    from {{ ref("int_sale_amounts") }}
    group by sale_id
),

-- a transaction has one sender and one gas, whatever reports it
transactions as (
    select
        chain,
        tx_hash,
        max(gas_wei) as gas_wei,
        max(gas_payer) as gas_payer
    from reports
    {% if is_incremental() -%}
    where
        (chain, tx_hash) in (
            select
                moves.chain,
                moves.tx_hash
            from moves
            where {{ is_dirty_position("moves") }}
        )
    {%- endif %}
    group by chain, tx_hash
),

-- Who paid: the sender, or where it is not known the side that does by the kind of sale.
sides as (
    select
        moves.*,
        transactions.gas_wei,
        case
            when transactions.gas_payer is null then sales.sender
            when transactions.gas_payer = moves.to_wallet then 'buyer'
            when transactions.gas_payer = moves.from_wallet then 'seller'
        end as paid_by,
        case when paid_by = 'buyer' then moves.to_wallet else moves.from_wallet end as payer,
        -- to the gwei, so that products fit
        greatest(moves.price_wei::hugeint // 1000000000, 1) as weight
    from moves
    inner join transactions on moves.chain = transactions.chain and moves.tx_hash = transactions.tx_hash
    left join sales on moves.sale_id = sales.sale_id
    where paid_by is not null and payer is not null
),

split as (
    select
        *,
        sum(weight) over (
            partition by chain, tx_hash
            order by collection, token_id, move_id
        )::hugeint as until,
        (sum(weight) over (partition by chain, tx_hash))::hugeint as total
    from sides
    -- of several wallets one has paid, and it is not known which
    qualify min(payer) over (partition by chain, tx_hash) = max(payer) over (partition by chain, tx_hash)
),

final as (
    select
        move_id,
        collection,
        token_id,
        paid_by,
        {{ share_of("gas_wei", "until - weight", "until", "total") }} as gas_wei
    from split
    {% if is_incremental() -%}
    where {{ is_dirty_position("split") }}
    {%- endif %}
)

select * from final
