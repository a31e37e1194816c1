r"""POP3 without I/O: ``Client`` and ``Server`` machines and the values that travel.

::

    from mailproto import pop3

    client = pop3.Client()
    client.receive_data(b"+OK ready\r\n")
    client.next_event()          # pop3.Greeting("ready")
    client.send(pop3.User("mrose"))
    client.data_to_send()        # b"USER mrose\r\n"
"""

from __future__ import annotations

# Checkers take this name for true. Importing typing takes longer than importing this package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from mailproto.pop3._names import *  # noqa: F403 -- its __all__ is the list
else:

    def __getattr__(name):
        """Load the whole package when one of its names is first used (PEP 562)."""
        import mailproto.pop3._names as names

        namespace = globals()
        namespace.update((each, getattr(names, each)) for each in names.__all__)
        namespace["__all__"] = names.__all__
        if name in namespace:
            return namespace[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        __getattr__("__all__")
        return list(globals())
