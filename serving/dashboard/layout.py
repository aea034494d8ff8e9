"""What all pages are put together from: headings, facts, a range, notices; as HTML that both themes can show.

Here: layout and style. Not here: charts (`figures`), words (`text`).

Colours are mixed from the colour of the text, so that each is right in light and in dark.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from serving.dashboard.text import literal

Fact = tuple[str, str, str]
"""Label, value and note; the value and note are finished HTML."""

TONES = {"good": "#15925f", "warn": "#c77700", "bad": "#d03b3b", "quiet": "#7b8681"}

STYLE = """<style>
.block-container, [data-testid="stMainBlockContainer"] {max-width: 70rem; padding-top: 4.2rem; padding-bottom: 4rem}
.a-head {display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .8rem; margin: 0}
.a-head h1 {font-size: 1.55rem; font-weight: 650; margin: 0; padding: 0; overflow-wrap: anywhere; line-height: 1.25}
.a-sub {opacity: .68; font-size: .92rem; overflow-wrap: anywhere}
.a-h2 {font-size: 1.08rem; font-weight: 640; margin: .9rem 0 0; padding: 0}
.a-value {font-size: 2.7rem; font-weight: 680; line-height: 1.1; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums}
.a-value small {font-size: 1.1rem; font-weight: 500; opacity: .65; letter-spacing: 0}
.a-card {border: 1px solid color-mix(in srgb, currentColor 15%, transparent); border-radius: .8rem;
  padding: 1.1rem 1.25rem; background: color-mix(in srgb, currentColor 3%, transparent)}
.a-facts {display: grid; grid-template-columns: repeat(auto-fit, minmax(8.6rem, 1fr)); gap: .9rem 1.2rem}
.a-facts .label {font-size: .78rem; opacity: .68}
.a-facts .fact {font-size: 1.16rem; font-weight: 600; margin-top: .05rem; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere}
.a-facts .under {display: block; font-size: .78rem; font-weight: 400; opacity: .68}
.a-chip {display: inline-block; border-radius: 1rem; padding: .08rem .6rem; font-size: .8rem; font-weight: 600;
  background: color-mix(in srgb, var(--tone, currentColor) 16%, transparent); margin: .1rem .3rem .1rem 0;
  border: 1px solid color-mix(in srgb, var(--tone, currentColor) 40%, transparent); overflow-wrap: anywhere}
.a-note {border-left: 4px solid var(--tone); background: color-mix(in srgb, var(--tone) 11%, transparent);
  padding: .7rem 1rem; border-radius: .45rem; overflow-wrap: anywhere}
.a-note b {display: block}
.a-range {position: relative; height: 4.3rem; margin: .9rem .3rem .2rem}
.a-range i {position: absolute; top: 1.75rem; height: .55rem; border-radius: .3rem}
.a-range .rail {left: 0; right: 0; background: color-mix(in srgb, currentColor 10%, transparent)}
.a-range .wide {background: color-mix(in srgb, #14a394 30%, transparent)}
.a-range .band {background: #14a394}
.a-range .dot {width: .95rem; height: .95rem; border-radius: 50%; background: #fff; border: .24rem solid #0b6b61;
  transform: translate(-50%, -.2rem)}
.a-range u {position: absolute; text-decoration: none; font-size: .78rem; transform: translateX(-50%);
  white-space: nowrap; opacity: .85; font-variant-numeric: tabular-nums}
.a-range u.up {top: 0} .a-range u.down {top: 2.7rem}
.a-range u.first {transform: none} .a-range u.last {transform: translateX(-100%)}
.a-range .tick {width: 2px; height: 1.1rem; top: 1.5rem; border-radius: 0;
  background: color-mix(in srgb, currentColor 60%, transparent)}
.a-bar {height: .45rem; border-radius: .25rem; background: color-mix(in srgb, currentColor 12%, transparent)}
.a-bar i {display: block; height: 100%; border-radius: .25rem; background: var(--tone)}
.a-list {display: grid; gap: .55rem 2.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr))}
.a-card a, .a-sub a {color: inherit; text-decoration-color: #14a394; text-underline-offset: .2em}
.a-row {display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .1rem 1rem; align-items: baseline;
  border-bottom: 1px solid color-mix(in srgb, currentColor 10%, transparent); padding-bottom: .5rem;
  align-content: start}
.a-row > span {font-size: .9rem}
.a-row .more {grid-column: 1 / -1; font-size: .85rem; opacity: .72; overflow-wrap: anywhere}
.a-row .name {font-weight: 600; overflow-wrap: anywhere}
.a-foot {font-size: .8rem; opacity: .65; margin-top: 1.2rem; overflow-wrap: anywhere}
@media (max-width: 640px) {
  .block-container, [data-testid="stMainBlockContainer"] {padding-left: 1rem; padding-right: 1rem}
  .a-value {font-size: 2.2rem} .a-card {padding: .9rem 1rem}
  .a-facts {grid-template-columns: repeat(2, minmax(0, 1fr))}
}
</style>"""


def heading(title: str, about: str = "") -> None:
    """The heading of a page.

    Args:
        title: Any text.
        about: Any text below it.
    """
    below = f'<div class="a-sub">{literal(about, 400)}</div>' if about else ""
    st.html(f'<div class="a-head"><h1>{literal(title)}</h1></div>{below}')


def section(title: str, about: str = "") -> None:
    """The heading of a part of a page; any text."""
    below = f'<div class="a-sub">{literal(about, 400)}</div>' if about else ""
    st.html(f'<h2 class="a-h2">{literal(title, 200)}</h2>{below}')


def notice(tone: str, title: str, text: str = "") -> None:
    """What a reader must know, and what to do about it; any text."""
    st.html(
        f'<div class="a-note" role="status" style="--tone: {TONES[tone]}"><b>{literal(title, 400)}</b>'
        f"{literal(text, 1_000)}</div>"
    )


def chip(text: str, tone: str = "quiet") -> str:
    """A word in a coloured frame, as HTML; any text."""
    return f'<span class="a-chip" style="--tone: {TONES[tone]}">{literal(text)}</span>'


def facts(rows: Sequence[Fact], *, card: bool = True) -> str:
    """Facts side by side, as HTML."""
    cells = "".join(
        f'<div><div class="label">{literal(label)}</div><div class="fact">{value}</div>'
        + (f'<div class="under">{note}</div></div>' if note else "</div>")
        for label, value, note in rows
    )
    return f'<div class="{"a-card" if card else ""}"><div class="a-facts">{cells}</div></div>'


def bar(share: float | None, tone: str) -> str:
    """How much of something is left, as HTML; empty without a share."""
    if share is None:
        return ""
    width = 100 * min(max(share, 0.0), 1.0)
    return f'<div class="a-bar"><i style="width:{width:.1f}%; --tone: {TONES[tone]}"></i></div>'


def rows(items: Sequence[tuple[str, str, str]]) -> None:
    """A list of (name, at the right, below): the name is any text, the others are finished HTML."""
    st.html(
        '<div class="a-list">'
        + "".join(
            f'<div class="a-row"><span class="name">{literal(name, 200)}</span><span>{right}</span>'
            f'<span class="more">{more}</span></div>'
            for name, right, more in items
        )
        + "</div>"
    )
