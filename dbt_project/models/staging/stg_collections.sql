with source as (
    select * from {{ source("raw", "collections") }}
),

-- the newest word on a collection; a source that knows the supply goes before one that does not
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
