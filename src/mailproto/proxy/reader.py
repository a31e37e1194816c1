"""Finds the header at the front of a connection, in whatever pieces it arrives, and nothing more.

What is read is decided by the first octets alone, and a header is looked into only once it is
whole: every way of cutting the input gives the same header or the same error.
"""

from __future__ import annotations

from typing import Final

from mailproto._core.limits import ProxyLimits
from mailproto._core.machine import NEED_DATA, Signal
from mailproto.errors import RemoteProtocolError
from mailproto.proxy import version1, version2
from mailproto.proxy.header import Header, check_addresses

__all__ = ["Reader", "serialize"]

_DEFAULT_LIMITS: Final = ProxyLimits()


class Reader:
    """Reads one header of either version.

    ::

        reader.receive_data(data)    # any octets; b"" is end of file
        reader.next_event()          # Header | NEED_DATA; raises RemoteProtocolError
        reader.trailing_data         # what came behind the header
    """

    __slots__ = ("_buffer", "_ended", "_failure", "_header", "_limits")

    def __init__(self, *, limits: ProxyLimits = _DEFAULT_LIMITS) -> None:
        self._buffer = bytearray()
        self._ended = False
        self._failure: RemoteProtocolError | None = None
        self._header: Header | None = None
        self._limits = limits

    @property
    def trailing_data(self) -> bytes:
        """The octets behind the header: the client's own. ``b""`` before there is a header."""
        return b"" if self._header is None else bytes(self._buffer)

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Store octets; ``b""`` means that the proxy closed its side. Raises nothing."""
        if not data:
            self._ended = True
        elif self._failure is None:
            self._buffer += data

    def next_event(self) -> Header | Signal:
        """The header, or ``NEED_DATA`` until all of it is there; the same one ever after.

        Raises RemoteProtocolError, also on every later call, for whatever is no PROXY header.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._header is None:
            try:
                self._header = self._read()
            except RemoteProtocolError as error:
                self._failure = error
                self._buffer.clear()
                raise
        return self._header or NEED_DATA

    def _read(self) -> Header | None:
        start = bytes(self._buffer[: version1.LONGEST])
        binary = start.startswith(version2.SIGNATURE)
        size: int | None = None
        if binary:
            if len(start) >= version2.FIXED:
                size = version2.size(start, self._limits.block)
        elif start.startswith(version1.PREFIX):
            size = version1.size(start)
        else:
            _check_beginning(start)
        if size is None or size > len(self._buffer):
            if self._ended:
                raise RemoteProtocolError(
                    f"the connection ended within the PROXY header: {start!r}"
                )
            return None
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        return version2.parse(octets) if binary else version1.parse(octets)


def _check_beginning(start: bytes) -> None:
    """Raise RemoteProtocolError unless more octets could make a header of this."""
    for end in range(1, len(start) + 1):
        if not any(
            known.startswith(start[:end]) for known in (version1.PREFIX, version2.SIGNATURE)
        ):
            raise RemoteProtocolError(
                f"a PROXY header begins with {version1.PREFIX!r} or {version2.SIGNATURE!r},"
                f" not with {start[:end]!r}"
            )


def serialize(header: Header) -> bytes:
    """The octets of ``header`` in its version.

    Raises LocalProtocolError for what that version cannot express.
    """
    check_addresses(header)
    return version1.serialize(header) if header.version == 1 else version2.serialize(header)
