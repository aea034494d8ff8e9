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
    kept in the table's comment (`remember_text`, a post-hook). What is too large for memory is built in parts (parts.sql).
#}
{% materialization incremental, adapter="duckdb" %}
    {%- if is_incremental() and scope_is_empty(config.require("replaces")) and stored_comment() == text_hash() -%}
        {% call statement("main") %}select 'unchanged'{% endcall %}
        {{ adapter.commit() }}
        {{ return({"relations": [this.incorporate(type="table")]}) }}
    {%- endif -%}
    {#- With another text the table may have other columns. Marts are declared: the lake brings them up to date. -#}
    {%- if everything_changed() and this.schema != "marts" and stored_comment() != text_hash() -%}
        {%- set existing = load_cached_relation(this) -%}
        {%- if existing is not none -%}{{ drop_relation_if_exists(existing) }}{%- endif -%}
    {%- endif -%}
    {%- if config.get("bytes_a_row") and number_of_parts() > 1 -%}
        {%- set target_relation = this.incorporate(type="table") -%}
        {%- if config.get("contract").enforced -%}{{ get_assert_columns_equivalent(compiled_code) }}{%- endif -%}
        {%- set condition = config.require("replaces") if is_incremental() else "true" -%}
        {% call statement("main") %}
            {{- build_in_parts(load_cached_relation(this), target_relation, compiled_code, condition) }}
        {% endcall %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {{ adapter.commit() }}
        {{ return({"relations": [target_relation]}) }}
    {%- endif -%}
    {{ return(dbt.materialization_incremental_duckdb()) }}
{% endmaterialization %}


{#
    A hash of all that an incremental model is made of: its text, its scope, and what models share (macros, variables).
    Not of the compiled text, which differs between the first build and the later ones.
#}
{% macro text_hash(node=none) -%}
    {%- set of = node or model -%}
    {{ return("sql:" ~ local_md5(of.raw_code ~ of.config.replaces ~ env_var("ASSAY_DBT_SHARED", ""))) }}
{%- endmacro %}


{# Whether an incremental model was last built from another text: rows outside of what changed have the old rule. #}
{% macro a_text_changed() %}
    {%- for node in graph.nodes.values() if node.config.materialized == "incremental" -%}
        {%- if stored_comment(node) not in (none, text_hash(node)) -%}{{ return(true) }}{%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{% endmacro %}


{#
    The post-hook of incremental models: keep the hash, in the transaction of the build, if it is another one, or if the
    table is.
#}
{% macro remember_text() -%}
    {%- if execute and model.config.materialized == "incremental"
        and (stored_comment() != text_hash() or not is_incremental()) -%}
        comment on table {{ this }} is '{{ text_hash() }}'
    {%- endif -%}
{%- endmacro %}


{# Whether no row of the tables of what changed (changes.sql) is in a scope; the scope names them. #}
{% macro scope_is_empty(scope) %}
    {%- if "rows_that_changed" not in graph -%}
        {%- set ops = target.database ~ ".ops" -%}
        {%- set counted = {} -%}
        {%- for row in run_query(
            "select 'dirty_collections', count(*) from " ~ ops ~ ".dirty_collections union all"
            ~ " select 'dirty_tokens', count(*) from " ~ ops ~ ".dirty_tokens union all"
            ~ " select 'dirty_positions', count(*) from " ~ ops ~ ".dirty_positions union all"
            ~ " select entity, count(*) from " ~ ops ~ ".dirty_entities group by entity"
        ).rows -%}
            {%- do counted.update({row[0]: row[1]}) -%}
        {%- endfor -%}
        {%- do graph.update({"rows_that_changed": counted}) -%}
    {%- endif -%}
    {%- set rows = [] -%}
    {%- for table in ["dirty_collections", "dirty_tokens", "dirty_positions"] if table in scope -%}
        {%- do rows.append(graph["rows_that_changed"][table]) -%}
    {%- endfor -%}
    {%- for entity in ["listings", "token_traits"] if "dirty.entity = '" ~ entity ~ "'" in scope -%}
        {%- do rows.append(graph["rows_that_changed"].get(entity, 0)) -%}
    {%- endfor -%}
    {{ return(rows | length > 0 and rows | sum == 0) }}
{% endmacro %}


{#
    The comment of the model's table or view, or of another node's, when the run began; none if there is none.

    All of them are read at once from DuckLake's own tables: `duckdb_tables()` estimates the size of every table for each
    question.
#}
{% macro stored_comment(node=none) %}
    {%- if "stored_comments" not in graph -%}
        {%- set catalog = "__ducklake_metadata_" ~ target.database -%}
        {%- set stored = {} -%}
        {%- for row in run_query(
            "with relations as ("
            ~ "select table_id as object_id, schema_id, table_name as name from " ~ catalog ~ ".ducklake_table"
            ~ " where end_snapshot is null union all"
            ~ " select view_id, schema_id, view_name from " ~ catalog ~ ".ducklake_view where end_snapshot is null)"
            ~ " select schemas.schema_name || '.' || relations.name, tags.value from relations"
            ~ " join " ~ catalog ~ ".ducklake_schema as schemas using (schema_id)"
            ~ " join " ~ catalog ~ ".ducklake_tag as tags using (object_id)"
            ~ " where schemas.end_snapshot is null and tags.end_snapshot is null and tags.key = 'comment'"
        ).rows -%}
            {%- do stored.update({row[0]: row[1]}) -%}
        {%- endfor -%}
        {%- do graph.update({"stored_comments": stored}) -%}
    {%- endif -%}
    {%- set name = this.schema ~ "." ~ this.identifier if node is none else node.schema ~ "." ~ node.alias -%}
    {{ return(graph["stored_comments"].get(name)) }}
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
