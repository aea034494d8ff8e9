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
    Incremental models that are only built when something changed in their scope, or their text did.

    dbt asks a dozen questions per model, and copies no rows in the end. The hash of the text that was last built is
    kept in the table's comment.
#}
{% materialization incremental, adapter="duckdb" %}
    {%- set fingerprint = "sql:" ~ local_md5(compiled_code ~ config.require("replaces")) -%}
    {%- set nothing_changed = is_incremental() and scope_is_empty(config.require("replaces")) -%}
    {%- if nothing_changed and table_comment() == fingerprint -%}
        {% call statement("main") %}select 'unchanged'{% endcall %}
        {{ adapter.commit() }}
        {{ return({"relations": [this.incorporate(type="table")]}) }}
    {%- endif -%}
    {%- set built = dbt.materialization_incremental_duckdb() -%}
    {%- if nothing_changed -%}
        {%- do run_query("comment on table " ~ this ~ " is '" ~ fingerprint ~ "'") -%}
    {%- endif -%}
    {{ return(built) }}
{% endmaterialization %}


{# Whether no row of the tables of what changed (changes.sql) is in a scope; the scope names them. #}
{% macro scope_is_empty(scope) %}
    {%- set ops = target.database ~ ".ops" -%}
    {%- set counts = [] -%}
    {%- for table in ["dirty_collections", "dirty_tokens", "dirty_positions"] if table in scope -%}
        {%- do counts.append("(select count(*) from " ~ ops ~ "." ~ table ~ ")") -%}
    {%- endfor -%}
    {%- for entity in ["listings", "token_traits"] if "dirty.entity = '" ~ entity ~ "'" in scope -%}
        {%- do counts.append("(select count(*) from " ~ ops ~ ".dirty_entities where entity = '" ~ entity ~ "')") -%}
    {%- endfor -%}
    {%- if not counts -%}{{ return(false) }}{%- endif -%}
    {{ return(run_query("select " ~ counts | join(" + ")).columns[0].values()[0] == 0) }}
{% endmacro %}


{% macro table_comment() %}
    {%- set rows = run_query(
        "select comment from duckdb_tables() where database_name = '" ~ this.database ~ "' and schema_name = '"
        ~ this.schema ~ "' and table_name = '" ~ this.identifier ~ "'"
    ).rows -%}
    {{ return(rows[0][0] if rows | length else none) }}
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


{# Whether this run builds everything; `mark_changes` leaves the answer in dbt's graph, which lasts for the run. #}
{% macro everything_changed() %}
    {%- if "builds_everything" in graph -%}{{ return(graph["builds_everything"]) }}{%- endif -%}
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
