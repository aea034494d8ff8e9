{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_entity("replaced", "token_traits"),
    )
}}

with codes as (
    select * from {{ ref("int_trait_codes") }}
    {% if is_incremental() -%}
    where {{ in_dirty_entity("int_trait_codes", "token_traits") }}
    {%- endif %}
),

tokens as (
    select * from {{ ref("int_token_trait_codes") }}
    {% if is_incremental() -%}
    where {{ in_dirty_entity("int_token_trait_codes", "token_traits") }}
    {%- endif %}
),

trait_counts as (
    select
        collection,
        trait_count,
        count(*) as tokens
    from tokens
    group by all
),

collection_tokens as (
    select
        collection,
        sum(tokens)::bigint as tokens
    from trait_counts
    group by collection
),

code_counts as (
    select
        collection,
        count(*) as codes,
        max(type_code) + 1 as types
    from codes
    group by collection
),

-- the number of traits of a token is a trait itself, the last one (OpenRarity)
all_values as (
    select
        collection,
        type_code,
        trait_code,
        trait_type,
        trait_value,
        tokens
    from codes
    union all
    select
        trait_counts.collection,
        coalesce(code_counts.types, 0) as type_code,
        coalesce(code_counts.codes, 0)
        + row_number() over (partition by trait_counts.collection order by trait_counts.trait_count) - 1 as trait_code,
        'trait_count' as trait_type,
        trait_counts.trait_count::varchar as trait_value,
        trait_counts.tokens
    from trait_counts
    left join code_counts on trait_counts.collection = code_counts.collection
),

final as (
    select
        all_values.collection,
        all_values.trait_type,
        all_values.trait_value,
        all_values.type_code::integer as type_code,
        all_values.trait_code::integer as trait_code,
        all_values.tokens,
        all_values.tokens / collection_tokens.tokens as share,
        ln(collection_tokens.tokens / all_values.tokens) as information
    from all_values
    inner join collection_tokens on all_values.collection = collection_tokens.collection
)

select * from final
