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

codes as (
    select * from {{ ref("int_trait_codes") }}
),

tokens as (
    select
        traits.collection,
        traits.token_id,
        coalesce(list(codes.trait_code) filter (where codes.trait_code is not null), []) as present_codes,
        coalesce(list(codes.type_code) filter (where codes.type_code is not null), []) as present_types
    from traits
    left join codes
        on
            traits.collection = codes.collection
            and traits.trait_key = codes.trait_key
            and traits.value_key = codes.value_key
    group by all
),

absent_codes as (
    select
        collection,
        list(row(type_code, trait_code)) as slots
    from codes
    where value_key is null
    group by collection
),

final as (
    select
        tokens.collection,
        tokens.token_id,
        len(tokens.present_codes)::integer as trait_count,
        list_concat(
            tokens.present_codes,
            list_transform(
                list_filter(
                    absent_codes.slots,
                    lambda slot: not list_contains(tokens.present_types, slot[1])
                ),
                lambda slot: slot[2]
            )
        ) as trait_codes
    from tokens
    left join absent_codes on tokens.collection = absent_codes.collection
)

select * from final
