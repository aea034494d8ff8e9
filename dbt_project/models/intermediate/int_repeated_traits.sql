{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_entity("replaced", "token_traits"),
    )
}}

with traits as (
    select * from {{ ref("stg_token_traits") }}
    {% if is_incremental() -%}
    where {{ in_dirty_entity("stg_token_traits", "token_traits") }}
    {%- endif %}
),

-- a hash of 8 bytes instead of three strings: nearly all of the millions of traits are reported once
repeated as (
    select hash(collection, token_id, trait_key) as trait_hash
    from traits
    group by all
    having count(*) > 1
),

repeated_traits as (
    select traits.*
    from traits
    where hash(traits.collection, traits.token_id, traits.trait_key) in (select repeated.trait_hash from repeated)
),

frequencies as (
    select
        collection,
        trait_key,
        value_key,
        count(*) as reports
    from traits
    where collection in (select repeated_traits.collection from repeated_traits)
    group by all
),

-- the newest value of the preferred source counts (traits are revealed and corrected); the same value reported twice
-- counts once
newest as (
    select
        collection,
        token_id,
        trait_key,
        value_key,
        min(trait_type) as trait_type,
        min(trait_value) as trait_value
    from (
        select
            *,
            max((-priority, known_at)) over (partition by collection, token_id, trait_key) as newest
        from repeated_traits
    ) as dated
    where (-priority, known_at) = newest
    group by all
),

-- A token can have several values of one trait (the accessories of a CryptoPunk). The rarest keeps the trait's name,
-- the second rarest becomes the trait "<name> #2" and so on, so that a token has one value per trait.
numbered as (
    select
        newest.*,
        row_number() over (
            partition by newest.collection, newest.token_id, newest.trait_key
            order by newest.value_key is null, frequencies.reports, newest.value_key
        ) as position
    from newest
    left join frequencies
        on
            newest.collection = frequencies.collection
            and newest.trait_key = frequencies.trait_key
            and newest.value_key is not distinct from frequencies.value_key
),

final as (
    select
        collection,
        token_id,
        trait_key as told_trait_key,
        case when position = 1 then trait_key else trait_key || ' #' || position end as trait_key,
        case when position = 1 then trait_type else trait_type || ' #' || position end as trait_type,
        value_key,
        trait_value
    from numbered
    where position = 1 or value_key is not null
)

select * from final
