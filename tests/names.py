"""Names that a market may hold and a program may trip over, for tests of every boundary."""

from hypothesis import strategies as st

HOSTILE = (
    "$100% Gang$",
    "A$AP^$ Crew",
    "[bold]x[/bold]",
    "[/]",
    "[link=https://evil.example]click[/link]",
    "esc \x1b[31mred\x1b]0;title\x07 \x9b2J",
    "two\nlines",
    "right\u202eleft\u2066",
    "long " + "ж" * 148,
    "x'; drop table y; --",
    "<script>alert(1)</script>",
    "a|b",
    "`rm -rf`",
    "$(touch pwned)",
    "../../etc/passwd",
    "Wait...",
    "100%41",
    "--help",
    "_hidden",
    "back\\slash\\",
)

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=120),
    # Dense in what means something to somebody.
    st.text("$[]/\\\\`|<>&*_'\"%.-~#! ab\x1b\n\u202e^{}", min_size=1, max_size=40),
)
