with source as (
    select * from {{ source("raw", "sales") }}
),

-- what a sale cost beyond the price that the marts compute with
final as (
    select
        delivered_by,
        source,
        source_row,
        try_cast(price_raw as decimal(38, 0)) as price_base_units,
        decimals,
        fee_native,
        royalty_native
    from source
)

select * from final
