{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces="true",
    )
}}

{%- set reasons = [
    "superseded",
    "duplicate",
    "missing_price",
    "zero_price",
    "no_rate",
    "duplicate_other_source",
    "primary_sale",
    "bundle",
] -%}

with raw_sales as (
    select * from {{ source("raw", "sales") }}
),

quarantine as (
    select * from {{ source("raw", "quarantine") }}
    where table_name = 'sales' and status = 'open'
),

classified as (
    select * from {{ ref("int_sales_classified") }}
),

sales as (
    select * from {{ ref("fct_sales") }}
),

raw_counts as (
    select
        delivered_by,
        source,
        count(*) as accepted
    from raw_sales
    group by all
),

quarantine_counts as (
    select
        delivered_by,
        source,
        count(*) as quarantined
    from quarantine
    group by all
),

exclusion_counts as (
    select
        {% for reason in reasons -%}
        count(*) filter (where exclusion_reason = '{{ reason }}') as excluded_{{ reason }},
        {% endfor -%}
        delivered_by,
        source
    from classified
    group by all
),

mart_counts as (
    select
        delivered_by,
        source,
        count(*) as in_fct_sales,
        count(*) filter (where is_arms_length) as arms_length
    from sales
    group by all
),

sources as (
    select
        delivered_by,
        source
    from raw_counts
    union
    select
        delivered_by,
        source
    from quarantine_counts
    union
    select
        delivered_by,
        source
    from exclusion_counts
    union
    select
        delivered_by,
        source
    from mart_counts
),

counted as (
    select
        sources.delivered_by,
        sources.source,
        coalesce(raw_counts.accepted, 0) + coalesce(quarantine_counts.quarantined, 0) as raw_rows,
        coalesce(quarantine_counts.quarantined, 0) as quarantined,
        {% for reason in reasons -%}
        coalesce(exclusion_counts.excluded_{{ reason }}, 0) as excluded_{{ reason }},
        {% endfor -%}
        coalesce(mart_counts.in_fct_sales, 0) as in_fct_sales,
        coalesce(mart_counts.arms_length, 0) as arms_length
    from sources
    left join raw_counts
        on sources.delivered_by = raw_counts.delivered_by and sources.source = raw_counts.source
    left join quarantine_counts
        on sources.delivered_by = quarantine_counts.delivered_by and sources.source = quarantine_counts.source
    left join exclusion_counts
        on sources.delivered_by = exclusion_counts.delivered_by and sources.source = exclusion_counts.source
    left join mart_counts
        on sources.delivered_by = mart_counts.delivered_by and sources.source = mart_counts.source
),

-- every row of a source is counted in exactly one place
final as (
    select
        *,
        raw_rows - quarantined - in_fct_sales
        {%- for reason in reasons %} - excluded_{{ reason }}{% endfor %} as difference
    from counted
)

select * from final
