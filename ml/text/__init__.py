"""Text that others wrote, made safe for where it goes: a line of text, a picture, a Markdown page, a file name.

A collection may be called anything: `$100% Gang$`, `[/]`, `../../etc`, a terminal's escape sequence. Names are kept as
they are in the lake; each boundary has one module here, or in `orchestration` for the terminal and the shell.
"""
