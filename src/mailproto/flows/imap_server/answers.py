"""How commands end: the completion without its tag, and what errors of a store become."""

from __future__ import annotations

from typing import Final

from mailproto._core.frozen import frozen
from mailproto.backend.store import (
    MailboxExists,
    MessageGone,
    NoSuchMailbox,
    OverQuota,
    StoreFailure,
)
from mailproto.errors import StoreError
from mailproto.imap.response_code import (
    ALREADYEXISTS,
    CANNOT,
    NONEXISTENT,
    UNAVAILABLE,
    Code,
    ResponseCode,
)
from mailproto.imap.responses import BAD, NO, OK, ConditionState

__all__ = ["EXPUNGEISSUED", "Answer", "Ended", "Refused", "answer_of", "bad", "no", "ok"]

# RFC 5530, and RFC 9208 section 4.3.2
EXPUNGEISSUED: Final = Code("EXPUNGEISSUED")
OVERQUOTA: Final = Code("OVERQUOTA")


@frozen
class Answer:
    """OK, NO or BAD, the text, and the response code if there is one."""

    state: ConditionState
    text: str
    code: ResponseCode | None = None


def ok(text: str, code: ResponseCode | None = None) -> Answer:
    """The command succeeded."""
    return Answer(OK, text, code)


def no(text: str, code: ResponseCode | None = None) -> Answer:
    """The command failed."""
    return Answer(NO, text, code)


def bad(text: str, code: ResponseCode | None = None) -> Answer:
    """The command makes no sense."""
    return Answer(BAD, text, code)


class Refused(Exception):
    """Ends the command in hand with ``answer``."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class Ended(Exception):
    """Ends the session: the peer is gone, or nothing sensible can follow."""


def answer_of(error: StoreError) -> Answer:
    """What the client is told of an error of the store; never the error's own text."""
    match error:
        case NoSuchMailbox():
            return no("there is no such mailbox", NONEXISTENT)
        case MailboxExists():
            return no("there is a mailbox of that name", ALREADYEXISTS)
        case MessageGone():
            return no("some of the messages no longer exist", EXPUNGEISSUED)
        case OverQuota():
            return no("there is no room for this", OVERQUOTA)
        case StoreFailure():
            return no("the mail store is not available", UNAVAILABLE)
        case _:
            return no("the mail store does not do that", CANNOT)
