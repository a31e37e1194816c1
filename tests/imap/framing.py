"""Whole octets to frames, for tests of the parsers: every literal is collected."""

from __future__ import annotations

from mailproto._core.framer import Framer
from mailproto.imap.wire.frames import Frame, FrameReader, LiteralHeader


def frames(data: bytes) -> list[Frame]:
    """Every frame of ``data``, which must end with one."""
    framer = Framer()
    framer.feed(data)
    reader = FrameReader(framer)
    found: list[Frame] = []
    while (step := reader.advance(len(data) + 2)) is not None:
        if isinstance(step, LiteralHeader):
            reader.collect()
        elif isinstance(step, Frame):
            found.append(step)
    assert reader.idle
    assert not len(framer)
    return found


def frame(data: bytes) -> Frame:
    """The one frame of ``data``; a missing last CRLF is added."""
    (found,) = frames(data if data.endswith(b"\r\n") else data + b"\r\n")
    return found
