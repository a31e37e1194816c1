"""Text inside a value: xtext (RFC 3461 section 4) and unitext (RFC 6533 section 3).

Both are ASCII without controls, SP and ``=``; what is not legal gives ``None``.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["of_unitext", "of_xtext", "to_unitext", "to_xtext"]

_XTEXT: Final = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_TO_XTEXT: Final = re.compile(rb"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")
_HEXCHAR: Final = re.compile(rb"\+([0-9A-F]{2})")

# HEXPOINT, without the code points of controls
_HEX: Final = "[0-9A-Fa-f]"
_EMBEDDED: Final = re.compile(
    r"\\x\{(20|2[Bb]|3[Dd]|5[Cc]|[89A-Fa-f]H|[1-9A-Fa-f]HH|[1-9A-CE-Fa-ce-f]HHH|[Dd][0-7]HH"
    r"|[1-9A-Fa-f]HHHH|10HHHH)\}".replace("H", _HEX)
)
_UNITEXT: Final = re.compile(
    rf"(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]|[^\x00-\x7f]|{_EMBEDDED.pattern})*"
)
_TO_UNITEXT: Final = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]")


def to_xtext(text: str) -> str:
    """``text`` as xtext: ``a b`` is ``a+20b``."""
    return _TO_XTEXT.sub(lambda match: b"+%02X" % match[0][0], text.encode()).decode()


def of_xtext(text: str) -> str | None:
    """What xtext stands for, or ``None`` for what is not xtext of UTF-8."""
    if _XTEXT.fullmatch(text) is None:
        return None
    octets = _HEXCHAR.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def to_unitext(text: str) -> str:
    r"""``text`` in the form that needs no SMTPUTF8: ``ä b`` is ``\x{E4}\x{20}b``."""
    return _TO_UNITEXT.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text)


def of_unitext(text: str) -> str | None:
    """What unitext stands for, UTF-8 in it or not; ``None`` for what is not unitext."""
    if _UNITEXT.fullmatch(text) is None:
        return None
    return _EMBEDDED.sub(lambda match: chr(int(match[1], 16)), text)
