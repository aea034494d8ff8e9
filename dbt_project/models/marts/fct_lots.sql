{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=1500,
    )
}}

with acquisitions as (
    select * from {{ ref("fct_acquisitions") }}
    where {{ in_scope("fct_acquisitions") }}
),

disposals as (
    select * from {{ ref("fct_disposals") }}
    where {{ in_scope("fct_disposals") }}
),

given as (
    select
        collection,
        token_id,
        wallet,
        max(until_unit) as units
    from disposals
    group by collection, token_id, wallet
),

-- first in, first out: the units given are the first ones
counted as (
    select
        a.*,
        greatest(least(a.until_unit, coalesce(given.units, 0)) - (a.until_unit - a.quantity), 0)::bigint as disposed
    from acquisitions as a
    left join given on a.collection = given.collection and a.token_id = given.token_id and a.wallet = given.wallet
),

final as (
    select
        acquisition_id,
        chain,
        collection,
        token_id,
        wallet,
        kind,
        acquired_at,
        tx_hash,
        quantity,
        disposed,
        quantity - disposed as held,
        cost_wei,
        case when disposed < quantity then {{ share_of("cost_wei", "disposed", "quantity", "quantity") }} end
            as held_cost_wei,
        cost_usd,
        case when disposed < quantity then cost_usd * (quantity - disposed) / quantity end as held_cost_usd,
        basis_status,
        unknown_basis_reason
    from counted
)

select * from final
