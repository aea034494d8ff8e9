{{ config(materialized="view") }}

with traits as (
    select * from {{ ref("stg_token_traits") }}
    where trait_key <> 'trait_count'
),

repeated_traits as (
    select * from {{ ref("int_repeated_traits") }}
    where trait_key <> 'trait_count'
),

final as (
    select
        traits.collection,
        traits.token_id,
        traits.trait_key,
        traits.trait_type,
        traits.value_key,
        traits.trait_value
    from traits
    anti join repeated_traits
        on
            traits.collection = repeated_traits.collection
            and traits.token_id = repeated_traits.token_id
            and traits.trait_key = repeated_traits.told_trait_key
    union all
    select
        collection,
        token_id,
        trait_key,
        trait_type,
        value_key,
        trait_value
    from repeated_traits
)

select * from final
