{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_entity("replaced", "token_traits"),
    )
}}

with traits as (
    select * from {{ ref("int_token_traits") }}
    {% if is_incremental() -%}
    where {{ in_dirty_entity("int_token_traits", "token_traits") }}
    {%- endif %}
),

collection_tokens as (
    select
        collection,
        count(*) as tokens
    from (
        select
            collection,
            token_id
        from traits
        group by all
    ) as collection_token
    group by collection
),

present_values as (
    select
        collection,
        trait_key,
        value_key,
        min(trait_type) as trait_type,
        min(trait_value) as trait_value,
        count(*) as tokens
    from traits
    where value_key is not null
    group by collection, trait_key, value_key
),

trait_types as (
    select
        collection,
        trait_key,
        min(trait_type) as trait_type,
        sum(tokens)::bigint as tokens
    from present_values
    group by collection, trait_key
),

-- the absent trait is a value (OpenRarity)
absent_values as (
    select
        trait_types.collection,
        trait_types.trait_key,
        null::varchar as value_key,
        trait_types.trait_type,
        null::varchar as trait_value,
        collection_tokens.tokens - trait_types.tokens as tokens
    from trait_types
    inner join collection_tokens on trait_types.collection = collection_tokens.collection
    where collection_tokens.tokens > trait_types.tokens
),

-- spellings that differ in case are one trait: it is shown in the first of them
all_values as (
    select
        known_values.collection,
        known_values.trait_key,
        known_values.value_key,
        trait_types.trait_type,
        known_values.trait_value,
        known_values.tokens
    from (
        select * from present_values
        union all
        select * from absent_values
    ) as known_values
    inner join trait_types
        on known_values.collection = trait_types.collection and known_values.trait_key = trait_types.trait_key
),

final as (
    select
        collection,
        trait_key,
        value_key,
        trait_type,
        trait_value,
        tokens,
        (dense_rank() over (partition by collection order by trait_key) - 1)::integer as type_code,
        (
            row_number() over (partition by collection order by trait_key, value_key nulls last) - 1
        )::integer as trait_code
    from all_values
)

select * from final
