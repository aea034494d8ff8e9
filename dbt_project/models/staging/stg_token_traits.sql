with source as (
    {{ by_source("token_traits") }}
),

-- OpenRarity compares names and values without case and outer blanks; an empty value is an absent trait
final as (
    select
        collection,
        token_id,
        lower(trim(trait_type)) as trait_key,
        trim(trait_type) as trait_type,
        nullif(lower(trim(trait_value)), '') as value_key,
        nullif(trim(trait_value), '') as trait_value,
        known_at,
        priority
    from source
)

select * from final
