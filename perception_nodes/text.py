# SPDX-License-Identifier: Apache-2.0
"""Text that may hold what the network or a file says, made fit for a line of a log or terminal."""

from collections.abc import Sequence

MAX_CHARACTERS = 400
MAX_LISTED = 4


def one_line(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return a text as one printable line of bounded length; how long it was stands behind it."""
    # What comes after the limit is not looked at: it may be megabytes.
    head = ' '.join(text[:2 * limit].split())
    line = ''.join(sign if sign.isprintable() else '?' for sign in head)
    if len(text) <= 2 * limit and len(line) <= limit:
        return line
    return f'{line[:limit]}... ({len(text)} characters)'


def short_list(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """Return the first names of a list, and how many more there are."""
    shown = ', '.join(one_line(name, 100) for name in names[:most])
    more = len(names) - most
    return f'{shown} and {more} more' if more > 0 else shown
