with source as (
    {{ by_source("transfers") }}
),

final as (
    select
        chain,
        collection,
        contract,
        token_id,
        tx_hash,
        log_index,
        sub_index,
        event_time,
        time_uncertainty_s,
        known_at,
        lower(from_address) as from_address,
        lower(to_address) as to_address,
        coalesce(quantity, 1) as quantity,
        {{ gas_wei("source") }} as gas_wei,
        lower(gas_payer) as gas_payer,
        delivered_by,
        priority,
        source,
        source_row
    from source
    -- the movement of a replaced block did not take place
    where superseded_by is null
)

select * from final
