with source as (
    {{ by_source("collections") }}
),

-- the newest row of the preferred source; among equals, one with a supply
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
        order by priority asc, known_at desc, supply is null, source asc, source_row asc
    ) = 1
)

select * from final
