{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_token("replaced"),
        bytes_a_row=500,
    )
}}

with transfers as (
    select * from {{ ref("stg_transfers") }}
    where {{ in_part("stg_transfers") }} and {{ is_dirty_token("stg_transfers") if is_incremental() else "true" }}
),

sales as (
    select * from {{ ref("stg_sales") }}
    where
        not is_superseded
        and buyer is not null
        and {{ in_part("stg_sales") }}
        and {{ is_dirty_token("stg_sales") if is_incremental() else "true" }}
),

last_transfers as (
    select
        collection,
        token_id,
        max(event_time) as held_since,
        arg_max(to_address, (event_time, known_at, tx_hash, log_index, sub_index, source, source_row)) as owner
    from transfers
    group by collection, token_id
),

last_purchases as (
    select
        collection,
        token_id,
        max(event_time) as held_since,
        arg_max(buyer, (event_time, known_at, tx_hash, log_index, sub_index, source, source_row)) as owner
    from sales
    group by collection, token_id
),

-- the owner is the receiver of the last transfer or, for tokens without transfers, the last buyer
final as (
    select
        collection,
        token_id,
        coalesce(last_transfers.owner, last_purchases.owner) as owner,
        case when last_transfers.owner is not null then last_transfers.held_since else last_purchases.held_since end
            as held_since,
        case when last_transfers.owner is not null then 'transfer' else 'sale' end as evidence
    from last_transfers
    full outer join last_purchases using (collection, token_id)
    where coalesce(last_transfers.owner, last_purchases.owner) is not null
)

select * from final
