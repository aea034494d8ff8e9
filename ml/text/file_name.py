"""The name of a file or folder about something that has a name. Here: the name. Not here: where the file goes."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LONGEST_SLUG = 60
_DIGEST = 12
# Lower case only: file systems that ignore case must not give two names one file. What ends like a digest
# gets one itself, so that no plain name equals the file name of another.
_PLAIN = re.compile(rf"[a-z0-9](?:[a-z0-9_-]{{0,{_LONGEST_SLUG - 1}}})")
_LIKE_A_DIGEST = re.compile(rf".*-[0-9a-f]{{{_DIGEST}}}")


def safe_file_name(name: str) -> str:
    """A file name for a name: plain ones stay, others become what is readable of them and a digest.

    Returns:
        ASCII letters, digits, `-` and `_`, at most 73 characters; the same for the same name on every machine, and
        another for another name.
    """
    if _PLAIN.fullmatch(name) and not _LIKE_A_DIGEST.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", plain)[:_LONGEST_SLUG].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{slug or 'name'}-{digest}"
