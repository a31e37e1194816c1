"""Regular-expression fragments under the productions they stand for (RFC 5234, RFC 5321, RFC 2822).

Each is bytes without groups, linear, and anchored by its user. Several productions are meant to
be joined into one pattern for one line: a pattern per token costs five times as much.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ATEXT", "DOT_STRING", "LET_DIG", "LDH_STR", "NON_ASCII", "QUOTED_STRING", "SUB_DOMAIN"]

# ALPHA / DIGIT (RFC 5234 appendix B.1); Let-dig and Ldh-str (RFC 5321 section 4.1.2)
LET_DIG: Final = rb"[A-Za-z0-9]"
LDH_STR: Final = rb"[A-Za-z0-9-]*[A-Za-z0-9]"

# UTF8-non-ascii as octets; well-formedness is checked by decoding (RFC 6531 section 3.3)
NON_ASCII: Final = rb"[\x80-\xff]"

# sub-domain = Let-dig [Ldh-str] (RFC 5321 section 4.1.2)
SUB_DOMAIN: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

# atext (RFC 5322 section 3.2.3)
ATEXT: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"

# Dot-string = Atom *("." Atom) (RFC 5321 section 4.1.2)
DOT_STRING: Final = ATEXT + rb"+(?:\." + ATEXT + rb"+)*"

# Quoted-string = DQUOTE *QcontentSMTP DQUOTE (RFC 5321 section 4.1.2)
QUOTED_STRING: Final = rb'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
