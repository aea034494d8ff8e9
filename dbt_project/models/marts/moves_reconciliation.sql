{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces="exists (select 1 from " ~ target.database ~ ".ops.dirty_tokens)",
    )
}}

with transfers as (
    select * from {{ ref("stg_transfers") }}
),

moves as (
    select * from {{ ref("int_moves") }}
),

acquisitions as (
    select * from {{ ref("fct_acquisitions") }}
),

disposals as (
    select * from {{ ref("fct_disposals") }}
),

lots as (
    select * from {{ ref("fct_lots") }}
),

gains as (
    select * from {{ ref("fct_realized_gains") }}
),

transfer_counts as (
    select
        chain,
        count(*) as raw_transfers
    from transfers
    group by chain
),

move_counts as (
    select
        chain,
        count(*) as moves,
        count(*) filter (where evidence = 'sale') as moves_by_sale_alone,
        count(*) filter (where price_wei is not null) as moves_priced,
        count(*) filter (where price_wei is null and from_wallet = {{ zero_address() }}) as mints_without_price,
        count(*) filter (where price_wei is null and from_wallet is distinct from {{ zero_address() }})
            as transfers_without_price,
        sum(quantity) filter (where to_wallet <> {{ zero_address() }})::bigint as units_received,
        sum(quantity) filter (where from_wallet <> {{ zero_address() }})::bigint as units_given
    from moves
    group by chain
),

acquisition_counts as (
    select
        chain,
        sum(quantity)::bigint as units_acquired,
        coalesce(sum(quantity) filter (where kind = 'untraced'), 0)::bigint as units_untraced
    from acquisitions
    group by chain
),

disposal_counts as (
    select
        chain,
        sum(quantity)::bigint as units_disposed
    from disposals
    group by chain
),

lot_counts as (
    select
        chain,
        sum(held)::bigint as units_held
    from lots
    group by chain
),

gain_counts as (
    select
        chain,
        sum(quantity)::bigint as units_matched
    from gains
    group by chain
),

-- every unit that a wallet acquired is held or disposed of, and every unit disposed of is matched with a lot
final as (
    select
        chain,
        coalesce(transfer_counts.raw_transfers, 0) as raw_transfers,
        coalesce(move_counts.moves, 0) as moves,
        coalesce(move_counts.moves_by_sale_alone, 0) as moves_by_sale_alone,
        coalesce(move_counts.moves_priced, 0) as moves_priced,
        coalesce(move_counts.mints_without_price, 0) as mints_without_price,
        coalesce(move_counts.transfers_without_price, 0) as transfers_without_price,
        coalesce(acquisition_counts.units_acquired, 0) as units_acquired,
        coalesce(acquisition_counts.units_untraced, 0) as units_untraced,
        coalesce(disposal_counts.units_disposed, 0) as units_disposed,
        coalesce(lot_counts.units_held, 0) as units_held,
        coalesce(acquisition_counts.units_acquired, 0)
        - coalesce(lot_counts.units_held, 0)
        - coalesce(disposal_counts.units_disposed, 0) as difference,
        coalesce(disposal_counts.units_disposed, 0) - coalesce(gain_counts.units_matched, 0) as units_not_matched
    from transfer_counts
    full outer join move_counts using (chain)
    full outer join acquisition_counts using (chain)
    full outer join disposal_counts using (chain)
    full outer join lot_counts using (chain)
    full outer join gain_counts using (chain)
)

select * from final
