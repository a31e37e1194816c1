"""SASLprep (RFC 4013): one form for names and passwords that people would call the same.

And the trace profile of ANONYMOUS (RFC 4505 section 3), which only prohibits. Both work on the
tables of the standard library's ``stringprep`` and on Unicode 3.2, as the RFCs say. Code points
that were unassigned then are passed as they are, as in a query (RFC 4013 section 2.5), because
both sides must come to the same result, and people do use them. Nothing here quotes its input,
which may be a password.
"""

from __future__ import annotations

import re
import stringprep
from collections.abc import Callable
from typing import Final
from unicodedata import ucd_3_2_0

from mailproto.errors import LocalProtocolError

__all__ = ["is_trace", "prepare", "saslprep", "utf8"]

_PRINTABLE_ASCII: Final = re.compile(r"[ -~]*")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_NOT_IN_A_TRACE: Final = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_PROHIBITED: Final = (stringprep.in_table_c12, *_NOT_IN_A_TRACE, stringprep.in_table_c7)
"""Section 2.3."""


_LONGEST: Final = 512
"""Characters of what is not ASCII, as it comes and as it is prepared: a stranger sends it, and
normalizing takes a time that grows with the square of it."""


def saslprep(text: str) -> str | None:
    """The prepared form of ``text``; ``None`` when it contains what SASLprep prohibits.

    Also ``None`` for over 512 characters, unless all of them are ASCII.
    """
    if _PRINTABLE_ASCII.fullmatch(text):
        return text
    if len(text) > _LONGEST:
        return None
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    permitted = len(prepared) <= _LONGEST and _permitted(prepared, _PROHIBITED)
    return prepared if permitted else None


def is_trace(text: str) -> bool:
    """Whether the trace profile of RFC 4505 section 3 permits ``text``."""
    return bool(_PRINTABLE_ASCII.fullmatch(text)) or _permitted(text, _NOT_IN_A_TRACE)


def _permitted(text: str, prohibited: tuple[Callable[[str], bool], ...]) -> bool:
    """Sections 5 and 6 of RFC 3454: no prohibited character, and no mixture of directions."""
    if any(is_in_table(c) for c in text for is_in_table in prohibited):
        return False
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))


def prepare(text: str, what: str) -> str:
    """The prepared form of your own ``what``. Raises LocalProtocolError, also when it is empty."""
    prepared = saslprep(text)
    if not prepared:
        fault = "is empty"
        if prepared is None:
            fault = f"contains what SASLprep (RFC 4013) prohibits, or over {_LONGEST} characters"
        raise LocalProtocolError(f"the {what} {fault}")
    return prepared


def utf8(text: str, what: str) -> bytes:
    """The octets of your own ``what``. Raises LocalProtocolError for NUL and lone surrogates."""
    if "\0" in text or _SURROGATES.search(text):
        raise LocalProtocolError(f"the {what} contains NUL or half a surrogate pair")
    return text.encode()
