{#
    How an incremental model replaces what changed.

    `replace_scope` deletes the rows that match a condition and inserts the model's result, in one transaction. The condition
    is the model's config `replaces`: SQL over the alias `replaced`, the same scope the model itself recomputes.
#}
{% macro get_incremental_replace_scope_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} as replaced
    where {{ "true" if everything_changed() else config.require("replaces") }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{% endmacro %}


{#
    Whether this run recomputes only what changed: dbt's own conditions, and a known position in raw.
    Overrides dbt's macro, so that everything is recomputed when the position is lost, even without --full-refresh.
#}
{% macro is_incremental() %}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set relation = load_relation(this) -%}
    {{
        return(
            relation is not none
            and relation.type == "table"
            and model.config.materialized == "incremental"
            and not should_full_refresh()
            and not everything_changed()
        )
    }}
{% endmacro %}


{% macro everything_changed() %}
    {{ return(run_query("select is_full from " ~ target.database ~ ".ops.mart_run").columns[0].values()[0]) }}
{% endmacro %}


{# The tail of a collection's sales that changes in raw can have touched. #}
{% macro in_dirty_tail(alias) -%}
    exists (
        select 1
        from {{ target.database }}.ops.dirty_collections as dirty
        where dirty.collection = {{ alias }}.collection and {{ alias }}.known_at >= dirty.from_known_at
    )
{%- endmacro %}


{# All of a collection whose sales changed. #}
{% macro in_dirty_collection(alias) -%}
    {{ alias }}.collection in (
        select dirty.collection
        from {{ target.database }}.ops.dirty_collections as dirty
    )
{%- endmacro %}


{# A token one of whose sales or transfers changed. #}
{% macro is_dirty_token(alias) -%}
    ({{ alias }}.collection, {{ alias }}.token_id) in (
        select
            dirty.collection,
            dirty.token_id
        from {{ target.database }}.ops.dirty_tokens as dirty
    )
{%- endmacro %}


{# The tail of a collection's rows of another raw table that changed. #}
{% macro in_dirty_entity_tail(alias, entity) -%}
    exists (
        select 1
        from {{ target.database }}.ops.dirty_entities as dirty
        where
            dirty.entity = '{{ entity }}'
            and dirty.collection = {{ alias }}.collection
            and {{ alias }}.known_at >= dirty.from_known_at
    )
{%- endmacro %}


{# All of a collection whose rows of another raw table changed. #}
{% macro in_dirty_entity(alias, entity) -%}
    {{ alias }}.collection in (
        select dirty.collection
        from {{ target.database }}.ops.dirty_entities as dirty
        where dirty.entity = '{{ entity }}'
    )
{%- endmacro %}
