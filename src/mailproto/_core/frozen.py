"""The one class decorator for values: immutable to type checkers, cheap at run time.

``attrs.frozen`` pays for every field at construction (0.72 against 0.35 microseconds for four
fields). Type checkers see ``attrs.frozen``; at run time the classes are ``attrs.define`` with a
hash, unless the environment variable ``MAILPROTO_FREEZE`` is set, as one lane of CI does, so that
a write to a value fails there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen
else:
    from functools import partial
    from os import environ

    import attrs

    frozen = (
        attrs.frozen if environ.get("MAILPROTO_FREEZE") else partial(attrs.define, unsafe_hash=True)
    )

__all__ = ["frozen"]
