{# Whether a wallet without contacts may not pay a price far off; with no contacts asked for, all wallets may. #}
{% macro doubts_new_wallets() -%}
    {{ return(var("known_wallet_contacts") | int > 0) }}
{%- endmacro %}


{# Whether a wallet had met enough others some time ago; one that the source does not name is not doubted. #}
{% macro is_known_wallet(contacts) -%}
    coalesce({{ contacts }} >= {{ var("known_wallet_contacts") }}, true)
{%- endmacro %}


{# The time up to which a wallet's meetings count for a sale. #}
{% macro long_before(time) -%}
    {{ time }} - to_days({{ var("known_wallet_days") }})
{%- endmacro %}


{# Whether a row of fct_sales was acceptable: no rule but one on its price had fired. #}
{% macro was_acceptable(alias) -%}
    (
        {{ alias }}.is_arms_length or {{ alias }}.is_low_outlier
        or {{ alias }}.wash_rules in ('repeated_pair', 'new_wallet')
    )
{%- endmacro %}


{# What the prices between known wallets are computed from. #}
{% macro columns_of_known() -%}
    sale_id, collection, tx_hash, log_index, sub_index, event_time, known_at, price_eth, buyer_contacts, seller_contacts
{%- endmacro %}


{#
    CTEs up to `contacts`: how many other wallets a wallet had traded with from a time on (wallet, known_at, met).

    Only of the wallets of the CTE `only`, if one is named.
#}
{% macro contacts_of_wallets(only) %}
-- when a wallet met another for the first time, in any collection; whatever became of the sale
meetings as (
    select
        wallet,
        other,
        min(known_at) as known_at
    from (
        select
            buyer as wallet,
            seller as other,
            known_at
        from {{ ref("int_sales_classified") }}
        where buyer <> seller and exclusion_reason is distinct from 'superseded'
        union all
        select
            seller as wallet,
            buyer as other,
            known_at
        from {{ ref("int_sales_classified") }}
        where buyer <> seller and exclusion_reason is distinct from 'superseded'
    )
    where {{ "true" if only is none else "wallet in (from " ~ only ~ ")" }}
    group by all
),

contacts as (
    select
        wallet,
        known_at,
        sum(count(*)) over (
            partition by wallet
            order by known_at
        )::bigint as met
    from meetings
    group by wallet, known_at
)
{%- endmacro %}


{#
    CTEs up to `new_wallet_prints`: the acceptable ones of the CTE `sales` that a new wallet pays for (sale_id).

    `context` is a CTE of the last sales between known wallets before these, if a tail is built.
#}
{% macro new_wallet_prints(sales, context) %}
-- What wallets that the market knows pay one another. New wallets cannot move it, however many there are.
numbered as (
    select
        *,
        {{ is_known_wallet("buyer_contacts") }} and {{ is_known_wallet("seller_contacts") }} as is_between_known,
        count(*) filter (
            where {{ is_known_wallet("buyer_contacts") }} and {{ is_known_wallet("seller_contacts") }}
        ) over (
            partition by collection
            order by {{ known_order() }}
            rows between unbounded preceding and 1 preceding
        ) as known_before
    from (
        select
            {{ columns_of_known() }}
        from {{ sales }}
        where is_acceptable
        {% if context is not none -%}
        union all
        select * from {{ context }}
        {%- endif %}
    )
),

known_prices as (
    select
        collection,
        known_before + 1 as known_before,
        quantile_cont(price_eth, 0.1) over last_known as p10,
        quantile_cont(price_eth, 0.5) over last_known as p50,
        quantile_cont(price_eth, 0.9) over last_known as p90,
        count(*) over last_known as sales,
        min(known_at) over last_known as since
    from numbered
    where is_between_known
    window last_known as (
        partition by collection
        order by {{ known_order() }}
        rows between {{ var("known_wallet_sales") | int - 1 }} preceding and current row
    )
),

-- Who wants a price that is too high sells, who wants one that is too low buys: the other side has to pay for it, and
-- that one must be a wallet that the market knew for some time (docs/leaks.md).
new_wallet_prints as (
    select numbered.sale_id
    from numbered
    inner join known_prices
        on numbered.collection = known_prices.collection and numbered.known_before = known_prices.known_before
    where
        known_prices.sales >= {{ var("low_outlier_min_sales") }}
        and known_prices.since > numbered.known_at - to_days({{ var("known_wallet_max_age_days") }})
        and not {{ is_known_wallet(
            "case when numbered.price_eth > known_prices.p50 then numbered.buyer_contacts"
            " else numbered.seller_contacts end"
        ) }}
        and abs(ln(numbered.price_eth / known_prices.p50)) > greatest(
            ln({{ var("known_wallet_price_ratio") }}),
            {{ var("known_wallet_spreads") }}
            * least(ln(known_prices.p50 / known_prices.p10), ln(known_prices.p90 / known_prices.p50))
        )
)
{%- endmacro %}
