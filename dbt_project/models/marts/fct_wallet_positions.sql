{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=1500,
    )
}}

with lots as (
    select * from {{ ref("fct_lots") }}
    where
        held > 0
        and {{ in_scope("fct_lots") }}
),

final as (
    select
        wallet,
        any_value(chain) as chain,
        collection,
        token_id,
        sum(held)::bigint as quantity,
        sum(held) filter (where basis_status <> 'unknown')::bigint as quantity_with_basis,
        count(*) as lots,
        -- a part of the cost is no cost
        case when count(*) = count(held_cost_wei) then sum(held_cost_wei) end::decimal(38, 0) as cost_wei,
        case when count(*) = count(held_cost_usd) then round(sum(held_cost_usd), 6) end as cost_usd,
        min(acquired_at) as first_acquired_at,
        max(acquired_at) as last_acquired_at,
        case
            when bool_or(basis_status = 'unknown') then 'unknown'
            when min(basis_status) = max(basis_status) then min(basis_status)
            else 'known'
        end as basis_status,
        arg_max(unknown_basis_reason, acquired_at) filter (where basis_status = 'unknown') as unknown_basis_reason,
        arg_max(tx_hash, acquired_at) as last_tx_hash
    from lots
    group by wallet, collection, token_id
)

select * from final
