"""Who wants to know of changes in which account: added, removed and told from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

__all__ = ["Listeners"]


class Listeners:
    """The listeners of every account of a store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = dict[str, tuple[_Listener, ...]]()

    def add(self, account: str, listener: Callable[[str], None]) -> Callable[[], None]:
        """Add one; the function that is returned takes it off again."""
        entry = _Listener(listener)
        with self._lock:
            self._listeners[account] = (*self._listeners.get(account, ()), entry)

        def remove() -> None:
            with self._lock:
                entries = self._listeners.get(account, ())
                rest = tuple(other for other in entries if other is not entry)
                if rest:
                    self._listeners[account] = rest
                else:
                    self._listeners.pop(account, None)

        return remove

    def tell(self, account: str, mailboxes: Iterable[str]) -> None:
        """Call the listeners of the account for every mailbox named."""
        entries = self._listeners.get(account)
        if entries:
            for mailbox in mailboxes:
                for entry in entries:
                    entry.call(mailbox)


class _Listener:
    """One addition: a function that is added twice is two listeners."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[str], None]) -> None:
        self.call = call
