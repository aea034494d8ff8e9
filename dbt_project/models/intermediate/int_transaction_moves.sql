{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=2500,
    )
}}

{%- set tx = "chain, collection, token_id, tx_hash" %}

with transfers as (
    select * from {{ ref("int_transfers") }}
    where {{ in_scope("int_transfers") }}
),

sales as (
    select * from {{ ref("int_sale_amounts") }}
    where {{ in_scope("int_sale_amounts") }}
),

all_transfers as (
    select * from {{ ref("stg_transfers") }}
),

-- a sale that no transfer shows is a move of its own
sale_legs as (
    select
        s.chain,
        s.collection,
        s.token_id,
        s.tx_hash,
        s.log_index,
        s.sub_index,
        s.event_time,
        s.time_uncertainty_s,
        s.known_at,
        case when s.sale_type = 'primary' then coalesce(s.seller, {{ zero_address() }}) else coalesce(s.seller, '') end
            as from_wallet,
        coalesce(s.buyer, '') as to_wallet,
        s.quantity,
        'sale' as evidence
    from sales as s
    anti join transfers using ({{ tx }})
    where s.quantity > 0
),

legs as (
    select
        *,
        'transfer' as evidence
    from transfers
    union all
    select * from sale_legs
),

transactions as (
    select
        {{ tx }},
        count(*) as legs,
        min(event_time) as event_time,
        max(time_uncertainty_s) as time_uncertainty_s,
        min(known_at) as known_at,
        min(log_index) as log_index,
        any_value(evidence) as evidence
    from legs
    group by {{ tx }}
),

several_legs as (
    select * from transactions
    where legs > 1
),

single_legs as (
    select * from transactions
    where legs = 1
),

numbered as (
    select
        legs.*,
        row_number() over (partition by {{ tx }} order by log_index, sub_index, from_wallet, to_wallet) as place
    from legs
    semi join several_legs using ({{ tx }})
),

-- who sells and buys the same token in one transaction trades; everybody else who passes it on only carries it
traders as (
    select distinct
        chain,
        collection,
        token_id,
        tx_hash,
        s.seller as wallet
    from sales as s
    semi join sales as b
        on
            s.chain = b.chain
            and s.collection = b.collection
            and s.token_id = b.token_id
            and s.tx_hash = b.tx_hash
            and s.seller = b.buyer
            and s.sale_id <> b.sale_id
),

sides as (
    select
        {{ tx }},
        wallet,
        sum(units_in)::bigint as units_in,
        sum(units_out)::bigint as units_out,
        min(place) filter (where units_in > 0) as first_in,
        min(place) filter (where units_out > 0) as first_out
    from (
        select {{ tx }}, place, to_wallet as wallet, quantity as units_in, 0 as units_out from numbered
        union all
        select {{ tx }}, place, from_wallet as wallet, 0 as units_in, quantity as units_out from numbered
    ) as ends
    group by {{ tx }}, wallet
),

net_sides as (
    select
        sides.*,
        traders.wallet is not null or sides.wallet = '' as is_gross,
        case when is_gross then units_in else greatest(units_in - units_out, 0) end as acquired,
        case when is_gross then units_out else greatest(units_out - units_in, 0) end as given
    from sides
    left join traders using ({{ tx }}, wallet)
),

givers as (
    select *, sum(given) over (partition by {{ tx }} order by first_out, wallet) as until
    from net_sides
    where given > 0
),

takers as (
    select *, sum(acquired) over (partition by {{ tx }} order by first_in, wallet) as until
    from net_sides
    where acquired > 0
),

pairs as (
    select
        g.chain,
        g.collection,
        g.token_id,
        g.tx_hash,
        g.wallet as from_wallet,
        t.wallet as to_wallet,
        (least(g.until, t.until) - greatest(g.until - g.given, t.until - t.acquired))::bigint as quantity,
        greatest(g.until - g.given, t.until - t.acquired)::bigint as place_in_tx
    from givers as g
    inner join takers as t
        on
            g.chain = t.chain
            and g.collection = t.collection
            and g.token_id = t.token_id
            and g.tx_hash = t.tx_hash
            and g.until - g.given < t.until
            and t.until - t.acquired < g.until
    where g.wallet <> t.wallet or g.wallet = ''
),

netted as (
    select {{ tx }}, from_wallet, to_wallet, quantity, 0 as place_in_tx
    from legs
    semi join single_legs using ({{ tx }})
    where from_wallet <> to_wallet or from_wallet = ''
    union all
    select {{ tx }}, from_wallet, to_wallet, quantity, place_in_tx
    from pairs
),

-- A sale prices the moves whose giver and receiver are its seller and buyer or, where no move has both, one of them,
-- or all moves of the token in the transaction: marketplaces name the contract that bought for somebody.
candidates as (
    select
        s.sale_id,
        s.source,
        s.source_row,
        s.seller,
        s.price_wei,
        s.fees_wei,
        s.buyer_fees_wei,
        s.price_usd,
        s.no_price_reason,
        s.currency,
        s.price_native,
        s.marketplace,
        s.is_bundle_share,
        netted.*,
        2 * coalesce(s.seller = netted.from_wallet, false)::integer
        + coalesce(s.buyer = netted.to_wallet, false)::integer as fit
    from sales as s
    inner join netted using ({{ tx }})
    qualify fit = max(fit) over (partition by s.sale_id, s.source, s.source_row)
),

priced_units as (
    select
        *,
        sum(quantity) over (
            partition by sale_id, source, source_row
            order by from_wallet, to_wallet
        ) as until,
        sum(quantity) over (partition by sale_id, source, source_row) as units
    from candidates
),

prices as (
    select
        {{ tx }},
        from_wallet,
        to_wallet,
        count(*) as sales,
        min(sale_id) as sale_id,
        max(seller) as seller,
        case
            when count(*) = count(price_wei)
                then sum({{ share_of("price_wei", "until - quantity", "until", "units") }})
        end::decimal(38, 0) as price_wei,
        case
            when count(*) = count(fees_wei)
                then sum({{ share_of("fees_wei", "until - quantity", "until", "units") }})
        end::decimal(38, 0) as fees_wei,
        sum({{ share_of("buyer_fees_wei", "until - quantity", "until", "units") }})::decimal(38, 0) as buyer_fees_wei,
        case when count(*) = count(price_usd) then round(sum(price_usd * quantity / units), 6) end as price_usd,
        min(no_price_reason) as no_price_reason,
        case when min(currency) = max(currency) then min(currency) end as currency,
        case when min(currency) = max(currency) then round(sum(price_native * quantity / units), 12) end as price_native,
        min(marketplace) as marketplace,
        bool_or(is_bundle_share) as is_bundle_share
    from priced_units
    group by {{ tx }}, from_wallet, to_wallet
),

-- to how many wallets a transaction gives tokens of the collection
given_to as (
    select
        t.chain,
        t.tx_hash,
        t.collection,
        count(distinct t.to_address) as wallets
    from all_transfers as t
    {% if is_scoped() -%}
    semi join transfers as l on t.chain = l.chain and t.tx_hash = l.tx_hash and t.collection = l.collection
    {%- endif %}
    group by t.chain, t.tx_hash, t.collection
),

moved as (
    select
        netted.chain,
        netted.collection,
        netted.token_id,
        netted.tx_hash,
        netted.from_wallet,
        netted.to_wallet,
        sum(netted.quantity)::bigint as quantity,
        min(netted.place_in_tx) as place_in_tx,
        any_value(t.event_time) as event_time,
        any_value(t.time_uncertainty_s) as time_uncertainty_s,
        any_value(t.known_at) as known_at,
        any_value(t.log_index) as log_index,
        any_value(t.evidence) as evidence
    from netted
    inner join transactions as t using ({{ tx }})
    group by all
),

final as (
    select
        moved.*,
        prices.sale_id,
        prices.seller,
        prices.price_wei,
        prices.fees_wei,
        prices.buyer_fees_wei,
        prices.price_usd,
        prices.no_price_reason,
        prices.price_native,
        prices.currency,
        prices.marketplace,
        prices.is_bundle_share,
        case when moved.evidence = 'transfer' then given_to.wallets end as given_to_wallets
    from moved
    left join prices using ({{ tx }}, from_wallet, to_wallet)
    left join given_to
        on moved.chain = given_to.chain and moved.tx_hash = given_to.tx_hash and moved.collection = given_to.collection
)

select * from final
