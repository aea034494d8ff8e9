{#
    Rows of a raw table with `priority` of the configured source that delivered them: 1 is preferred.
#}
{% macro by_source(table) -%}
select
        raw_rows.*,
        coalesce(configured.priority, 1) as priority
    from {{ source("raw", table) }} as raw_rows
    left join {{ target.database }}.ops.sources as configured on raw_rows.delivered_by = configured.name
{%- endmacro %}


{# Whether rows of more than one configured source are in the home. #}
{% macro has_several_sources() -%}
    {{ return(run_query("select count(*) from " ~ target.database ~ ".ops.sources").columns[0].values()[0] > 1) }}
{%- endmacro %}


{# Who reports a sale: the configured source that delivered the row, and the source that the row names. #}
{% macro reporter(alias) -%}
    concat_ws(' ', {{ alias }}.delivered_by, {{ alias }}.source)
{%- endmacro %}
