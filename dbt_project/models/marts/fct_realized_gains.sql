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

-- First in, first out: the n-th unit that a wallet gave is the n-th that it got. A token of one unit is its own lot.
matched as (
    select
        d.disposal_id,
        a.acquisition_id,
        d.chain,
        d.collection,
        d.token_id,
        d.wallet,
        d.kind as disposal_kind,
        a.kind as acquisition_kind,
        a.acquired_at,
        d.disposed_at,
        a.tx_hash as acquisition_tx_hash,
        d.tx_hash as disposal_tx_hash,
        (least(d.until_unit, a.until_unit) - greatest(d.until_unit - d.quantity, a.until_unit - a.quantity))::bigint
            as quantity,
        greatest(d.until_unit - d.quantity, a.until_unit - a.quantity) as first_unit,
        least(d.until_unit, a.until_unit) as until_unit,
        a.until_unit - a.quantity as lot_start,
        d.until_unit - d.quantity as disposal_start,
        a.quantity as lot_quantity,
        d.quantity as disposal_quantity,
        a.cost_wei as lot_cost_wei,
        a.cost_usd as lot_cost_usd,
        d.proceeds_wei as all_proceeds_wei,
        d.proceeds_usd as all_proceeds_usd,
        d.fees_wei as all_fees_wei,
        a.basis_status,
        a.unknown_basis_reason,
        d.no_proceeds_reason
    from disposals as d
    inner join acquisitions as a
        on
            d.collection = a.collection
            and d.token_id = a.token_id
            and d.wallet = a.wallet
            and d.until_unit - d.quantity < a.until_unit
            and a.until_unit - a.quantity < d.until_unit
),

amounts as (
    select
        *,
        {{ share_of("lot_cost_wei", "first_unit - lot_start", "until_unit - lot_start", "lot_quantity") }} as cost_wei,
        {{
            share_of(
                "all_proceeds_wei", "first_unit - disposal_start", "until_unit - disposal_start", "disposal_quantity"
            )
        }} as proceeds_wei,
        {{
            share_of("all_fees_wei", "first_unit - disposal_start", "until_unit - disposal_start", "disposal_quantity")
        }} as fees_wei,
        lot_cost_usd * quantity / lot_quantity as cost_usd,
        all_proceeds_usd * quantity / disposal_quantity as proceeds_usd
    from matched
),

final as (
    select
        disposal_id,
        acquisition_id,
        chain,
        collection,
        token_id,
        wallet,
        quantity,
        acquisition_kind,
        disposal_kind,
        acquired_at,
        disposed_at,
        acquisition_tx_hash,
        disposal_tx_hash,
        date_diff('day', acquired_at, disposed_at) as holding_days,
        -- over a year is more than 365 days
        disposed_at > acquired_at + interval 365 day as is_long_term,
        cost_wei,
        proceeds_wei,
        fees_wei,
        proceeds_wei - cost_wei as gain_wei,
        cost_usd,
        proceeds_usd,
        proceeds_usd - cost_usd as gain_usd,
        basis_status,
        case
            when disposal_kind <> 'sold' then coalesce(nullif(no_proceeds_reason, 'no_sale'), disposal_kind)
            when cost_wei is null then unknown_basis_reason
        end as no_gain_reason
    from amounts
)

select * from final
