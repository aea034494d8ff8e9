with source as (
    select * from {{ source("raw", "collections") }}
),

-- the newest row of a collection; among equals, one with a supply is preferred
final as (
    select
        collection,
        chain,
        contract,
        name,
        supply,
        known_at,
        source
    from source
    qualify row_number() over (
        partition by collection
        order by known_at desc, supply is null, source asc, source_row asc
    ) = 1
)

select * from final
