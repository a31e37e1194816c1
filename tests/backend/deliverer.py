"""Delivers messages to a sqlite3 store until it is killed; prints each number once it is safe.

Usage: deliverer.py FILE FIRST. Every seventh message is larger than one transaction holds.
"""

from __future__ import annotations

import hashlib
import sys

from mailproto.backend import SQLiteStore


def message(number: int) -> bytes:
    """A message that tells whether it is whole."""
    size = 3_000_000 if number % 7 == 0 else 2_000
    body = (b"%d " % number) * (size // 8)
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"Subject: %d\r\nX-Digest: %s\r\n\r\n%s" % (number, digest, body)


def main() -> None:
    """Deliver for ever."""
    store = SQLiteStore(sys.argv[1])
    number = int(sys.argv[2])
    while True:
        draft = store.draft()
        draft.write(message(number))
        store.deliver(draft, {"ada": b"Return-Path: <>\r\n", "bob": b""})
        draft.discard()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main()
