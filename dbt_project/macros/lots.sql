{#
    Amounts and wallets of acquisitions and disposals.

    Amounts are whole base units of ether (wei) in decimal(38, 0). Products are computed in 128 bits; what does not fit
    becomes null and never stops a build.
#}

{# The zero address: from it a token is minted, to it burned. #}
{% macro zero_address() -%}
    '0x0000000000000000000000000000000000000000'
{%- endmacro %}


{# Whether an address is one that nothing comes back from. #}
{% macro is_burn(address) -%}
    {{ address }} in ({{ zero_address() }}, '0x000000000000000000000000000000000000dead')
{%- endmacro %}


{# A number of ether as whole wei: the decimal text of the number is moved by 18 places, so that 0.1 is exact. #}
{% macro to_wei(ether) -%}
    try(replace(try_cast(({{ ether }})::varchar as decimal(38, 18))::varchar, '.', '')::hugeint)::decimal(38, 0)
{%- endmacro %}


{#
    The part of a whole amount that belongs to units `after` (excluded) to `until` (included) of `units`.

    The parts of all units add up to the amount, whatever the rounding. Both quotients are rounded towards zero, also
    those of a negative amount.
#}
{% macro share_of(amount, after, until, units) -%}
    case
        when {{ after }} = 0 and {{ until }} = {{ units }} then {{ amount }}
        else try((
            ({{ amount }})::hugeint * ({{ until }})::hugeint // ({{ units }})::hugeint
            - ({{ amount }})::hugeint * ({{ after }})::hugeint // ({{ units }})::hugeint
        )::decimal(38, 0))
    end
{%- endmacro %}


{#
    The gas of a row's transaction in wei of ether, as a whole number; null where it is not known, and on chains whose
    coin is not ether (the variable `ether_chains` has those where it is).
#}
{% macro gas_wei(alias) -%}
    case
        when
            {{ alias }}.chain in (
                {%- for name in var("ether_chains") %}'{{ name }}'{{ ", " if not loop.last }}{% endfor -%}
            )
            then coalesce(
                try(({{ alias }}.gas_used::hugeint * {{ alias }}.gas_price_wei::hugeint)::decimal(38, 0)),
                {{ to_wei(alias ~ ".gas_native") }}
            )
    end
{%- endmacro %}


{# Whether a raw row says anything about the gas of its transaction. #}
{% macro has_gas() -%}
    (gas_native is not null or gas_used is not null)
{%- endmacro %}


{# Whether any raw row does, or a move has got a share of gas. #}
{% macro states_gas() -%}
    {%- set question -%}
        select
            exists (select 1 from {{ source("raw", "sales") }} where {{ has_gas() }})
            or exists (select 1 from {{ source("raw", "transfers") }} where {{ has_gas() }})
            or exists (select 1 from {{ target.database }}.intermediate.int_move_gas)
    {%- endset -%}
    {{ return(run_query(question).columns[0].values()[0]) }}
{%- endmacro %}


{#
    The transaction of a row of transfers or sales. Without a hash the row stands for it, and two sources can have a row
    of one name.
#}
{% macro transaction_of(alias) -%}
    case
        when starts_with({{ alias }}.tx_hash, 'row:')
            then concat_ws('@', {{ alias }}.tx_hash, {{ alias }}.delivered_by)
        else {{ alias }}.tx_hash
    end
{%- endmacro %}


{# A token whose moves, prices or rules can have changed. #}
{% macro is_dirty_position(alias) -%}
    ({{ alias }}.collection, {{ alias }}.token_id) in (
        select
            dirty.collection,
            dirty.token_id
        from {{ target.database }}.ops.dirty_positions as dirty
    )
{%- endmacro %}


{#
    What acquisitions and disposals depend on beside raw: the list of custody contracts and the variables of airdrops.

    It is kept with the position in raw (`ops.mart_watermark`); a position of other rules is not used.
#}
{% macro lot_rules() %}
    {%- set parts = [var("airdrop_wallets"), var("airdrop_basis")] -%}
    {%- for node in graph.nodes.values() if node.resource_type == "seed" -%}
        {%- do parts.append(node.checksum.checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(parts | join("|"))) }}
{% endmacro %}


{#
    Seeds that are only loaded when their file changes: dbt would write the table in every run. All columns are text.

    The hash of the file that was loaded is kept in the table's comment.
#}
{% materialization seed, adapter="duckdb" %}
    {%- set fingerprint = "seed:" ~ model.checksum.checksum -%}
    {%- set rows = load_agate_table() -%}
    {#- dbt shows it as the seed's result -#}
    {%- do store_result("agate_table", response="OK", agate_table=rows) -%}
    {%- if load_cached_relation(this) is not none and stored_comment() == fingerprint -%}
        {% call statement("main") %}select 'unchanged'{% endcall %}
    {%- else -%}
        {% call statement("main") %}
            create or replace table {{ this }} as
            select * from (
                values
                {% for row in rows.rows -%}
                ({% for cell in row %}
                    {{- "null" if cell is none else "'" ~ (cell | string | replace("'", "''")) ~ "'" -}}::varchar
                    {{- ", " if not loop.last -}}
                {% endfor %}),
                {% endfor -%}
                ({% for name in rows.column_names %}null::varchar{{ ", " if not loop.last }}{% endfor %})
            ) as t ({{ rows.column_names | join(", ") }})
            where {{ rows.column_names[0] }} is not null;
            comment on table {{ this }} is '{{ fingerprint }}';
        {% endcall %}
    {%- endif -%}
    {{ adapter.commit() }}
    {{ return({"relations": [this.incorporate(type="table")]}) }}
{% endmaterialization %}
