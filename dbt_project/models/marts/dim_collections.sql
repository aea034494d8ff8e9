{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces="true",
    )
}}

with collections as (
    select * from {{ ref("stg_collections") }}
),

sales as (
    select * from {{ ref("fct_sales") }}
),

classified as (
    select * from {{ ref("int_sales_classified") }}
),

tokens as (
    select * from {{ ref("dim_tokens") }}
),

trait_values as (
    select * from {{ ref("dim_trait_values") }}
),

-- where no source describes the collection, its sales give chain and contract
sold_collections as (
    select
        collection,
        min(chain) as chain,
        min(contract) as contract
    from classified
    group by collection
),

sale_counts as (
    select
        collection,
        count(*) as n_sales,
        count(*) filter (where is_arms_length) as n_arms_length,
        min(event_time) as first_sale_at,
        max(event_time) as last_sale_at
    from sales
    group by collection
),

-- If a source ends in 2021, nothing is known about sales after that: a collection is covered until its sources end.
source_ends as (
    select
        source,
        max(known_at) as covered_until
    from classified
    group by source
),

collection_sources as (
    select distinct
        collection,
        source
    from classified
),

coverage as (
    select
        collection_sources.collection,
        max(source_ends.covered_until) as covered_until
    from collection_sources
    inner join source_ends on collection_sources.source = source_ends.source
    group by collection_sources.collection
),

token_counts as (
    select
        collection,
        count(*) as tokens,
        count(trait_count) as tokens_with_traits
    from tokens
    group by collection
),

trait_counts as (
    select
        collection,
        count(distinct trait_type) as trait_types
    from trait_values
    where trait_type <> 'trait_count'
    group by collection
),

names as (
    select collection from collections
    union
    select collection from sold_collections
    union
    select collection from token_counts
),

final as (
    select
        names.collection,
        coalesce(collections.chain, sold_collections.chain) as chain,
        coalesce(collections.contract, sold_collections.contract) as contract,
        collections.name,
        greatest(coalesce(collections.supply, 0), coalesce(token_counts.tokens, 0)) as supply,
        coalesce(token_counts.tokens, 0) as tokens,
        coalesce(token_counts.tokens_with_traits, 0) as tokens_with_traits,
        coalesce(sale_counts.n_sales, 0) as n_sales,
        coalesce(sale_counts.n_arms_length, 0) as n_arms_length,
        sale_counts.first_sale_at,
        sale_counts.last_sale_at,
        coverage.covered_until,
        coalesce(trait_counts.trait_types, 0) as trait_types
    from names
    left join collections on names.collection = collections.collection
    left join sold_collections on names.collection = sold_collections.collection
    left join sale_counts on names.collection = sale_counts.collection
    left join coverage on names.collection = coverage.collection
    left join token_counts on names.collection = token_counts.collection
    left join trait_counts on names.collection = trait_counts.collection
)

select * from final
