"""What an answer to an IMAP command says, read out of its responses; no waiting is here."""

from __future__ import annotations

import attrs
from typing_extensions import TypeVar

from mailproto import imap
from mailproto._core.frozen import frozen

__all__ = ["Answer", "append_uid", "copy_uid", "name_of", "put_together"]

E = TypeVar("E")


@frozen
class Answer:
    """What the server said to one command."""

    completion: imap.Completion
    """The tagged response; always OK."""
    data: tuple[imap.ClientEvent, ...] = ()
    """Every untagged response that came before it."""

    def of(self, kind: type[E]) -> list[E]:
        """The responses of one class."""
        return [event for event in self.data if isinstance(event, kind)]


def name_of(code: imap.ResponseCode | None) -> str | None:
    """The word of a response code, for CommandFailed."""
    if isinstance(code, (imap.Code, imap.NumberCode)):
        return code.name
    return None if code is None else type(code).__name__.upper()


def append_uid(answer: Answer) -> imap.AppendUid | None:
    """Where an APPEND went, if the server tells it."""
    code = answer.completion.code
    return code if isinstance(code, imap.AppendUid) else None


def copy_uid(answer: Answer) -> imap.CopyUid | None:
    """Servers tell it with the completion of COPY, and before the first EXPUNGE of MOVE."""
    for event in (*answer.data, answer.completion):
        if isinstance(event, (imap.Condition, imap.Completion)):
            if isinstance(event.code, imap.CopyUid):
                return event.code
    return None


def put_together(data: imap.FetchData, kept: list[list[bytes]]) -> imap.FetchData:
    """The response with the octets that came as chunks in their places."""
    pieces = iter(kept)
    sections = [
        attrs.evolve(section, data=b"".join(next(pieces)))
        if isinstance(section.data, imap.Streamed)
        else section
        for section in data.sections
    ]
    return attrs.evolve(data, sections=tuple(sections))
