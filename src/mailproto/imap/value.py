"""Values that no grammar here names: extension data of responses, kept rather than dropped."""

from __future__ import annotations

from typing import TypeAlias, Union

__all__ = ["Value"]

Value: TypeAlias = Union[int, str, bytes, "tuple[Value, ...]", None]
"""A number, an atom (``str``), a string (``bytes``), NIL (``None``) or a parenthesized list."""
