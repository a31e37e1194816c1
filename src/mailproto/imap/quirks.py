"""Known faults of real servers that are met in the default mode, and reported when they fire.

Each is a fault that a server in use has; what they are is in the names. Anything else that is
malformed is ``Unparsed``.
"""

from __future__ import annotations

import enum

__all__ = ["Quirk"]


class Quirk(enum.Enum):
    """A fault that was read as what it must have meant."""

    MISSING_TEXT = "a status response without text"
    NEGATIVE_NUMBER = "a negative number, read as 0"
    TRAILING_SPACE = "a space at the end of a response or list"
    ADDRESS_SPACES = "spaces between addresses"
    EMPTY_CONTINUATION = "a continuation without a space"
    EMPTY_ID = "ID () instead of NIL"
    EMPTY_LIST = "an empty list instead of NIL"
    EMPTY_DELIMITER = "an empty string as hierarchy delimiter, read as NIL"
    EMPTY_STATUS = "STATUS without a list"
    NIL_STRING = "NIL where a string is due, read as empty"
    ZERO_UIDVALIDITY = "UIDVALIDITY 0"
    FLAG_CHARACTERS = "characters in a flag that a flag cannot have"
    MISSING_FIELDS = "a body structure with fields missing"
