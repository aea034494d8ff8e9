{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_entity("replaced", "token_traits")
        ~ " or (replaced.trait_count is null and " ~ is_dirty_token("replaced") ~ ")",
        bytes_a_row=500,
    )
}}

with coded_tokens as (
    select * from {{ ref("int_token_trait_codes") }}
),

trait_values as (
    select * from {{ ref("dim_trait_values") }}
),

sales as (
    select * from {{ ref("int_sales_classified") }}
),

transfers as (
    select * from {{ ref("stg_transfers") }}
),

with_traits as (
    select
        coded_tokens.collection,
        coded_tokens.token_id,
        coded_tokens.trait_count,
        list_append(coded_tokens.trait_codes, counts.trait_code) as trait_codes
    from coded_tokens
    inner join trait_values as counts
        on
            coded_tokens.collection = counts.collection
            and coded_tokens.trait_count::varchar = counts.trait_value
            and counts.trait_type = 'trait_count'
    where
        {{ in_part("coded_tokens", "collection") }}
        and {{ in_dirty_entity("coded_tokens", "token_traits") if is_incremental() else "true" }}
),

token_values as (
    select
        collection,
        token_id,
        trait_count,
        unnest(trait_codes) as trait_code
    from with_traits
),

-- all lists of a group are sorted by the order of the codes
described as (
    select
        token_values.collection,
        token_values.token_id,
        any_value(token_values.trait_count) as trait_count,
        list(token_values.trait_code) as codes,
        list(trait_values.trait_value) as spelled,
        list(trait_values.information) as informations,
        count(*) filter (where trait_values.tokens = 1 and trait_values.trait_value is not null) as unique_attributes
    from token_values
    inner join trait_values
        on token_values.collection = trait_values.collection and token_values.trait_code = trait_values.trait_code
    group by token_values.collection, token_values.token_id
),

entropies as (
    select
        collection,
        sum(share * information order by trait_code) as entropy
    from trait_values
    group by collection
),

scored as (
    select
        described.collection,
        described.token_id,
        described.trait_count,
        described.unique_attributes,
        list_sort(described.codes) as trait_codes,
        list_select(described.spelled, list_grade_up(described.codes)) as trait_values,
        list_select(described.informations, list_grade_up(described.codes)) as trait_information,
        entropies.entropy
    from described
    inner join entropies on described.collection = entropies.collection
),

-- Σ −log2 p / H; where all tokens are equal H is 0 and there is no score (OpenRarity)
ranked as (
    select
        *,
        list_sum(trait_information) / case when entropy > 0 then entropy else 1 end as rarity_score,
        rank() over (
            partition by collection
            order by
                unique_attributes desc,
                round(list_sum(trait_information) / case when entropy > 0 then entropy else 1 end, 9) desc
        ) as rarity_rank,
        count(*) over (partition by collection) as collection_tokens
    from scored
),

-- a token with unknown traits is not a token without traits: it has no rarity
without_traits as (
    select
        seen.collection,
        seen.token_id
    from (
        select
            collection,
            token_id
        from sales
        union
        select
            collection,
            token_id
        from transfers
    ) as seen
    anti join coded_tokens on seen.collection = coded_tokens.collection and seen.token_id = coded_tokens.token_id
    where
        {{ in_part("seen", "collection") }}
        and (
            {{ in_dirty_entity("seen", "token_traits") if is_incremental() else "true" }}
            or {{ is_dirty_token("seen") if is_incremental() else "true" }}
        )
),

final as (
    select
        collection,
        token_id,
        trait_values,
        trait_codes,
        trait_information,
        trait_count,
        unique_attributes,
        rarity_score,
        rarity_rank,
        1 - (rarity_rank - 1) / greatest(collection_tokens - 1, 1)::double as rarity_pct
    from ranked
    union all
    select
        collection,
        token_id,
        []::varchar[] as trait_values,
        []::integer[] as trait_codes,
        []::double[] as trait_information,
        null as trait_count,
        null as unique_attributes,
        null as rarity_score,
        null as rarity_rank,
        null as rarity_pct
    from without_traits
)

select * from final
