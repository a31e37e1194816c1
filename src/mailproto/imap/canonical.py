"""The canonical answers of a server: what ``Server.accept`` sends for a whole command."""

from __future__ import annotations

from mailproto.errors import LocalProtocolError
from mailproto.imap.capability import Capabilities
from mailproto.imap.commands import (
    Capability,
    Enable,
    Examine,
    Id,
    Logout,
    Namespace,
    Search,
    Select,
    Status,
    Tagged,
)
from mailproto.imap.events import InvalidCommand
from mailproto.imap.responses import (
    BYE,
    OK,
    CapabilityData,
    Completion,
    Condition,
    EnabledData,
    ESearchData,
    IdData,
    Response,
    SearchData,
)

__all__ = ["negative_answer", "positive_answer"]


def positive_answer(tagged: Tagged, capabilities: Capabilities) -> list[Response]:
    """The completion, and the data before it where nothing has to be decided.

    Raises LocalProtocolError where only the application has the data.
    """
    answer: list[Response] = []
    match tagged.command:
        case Capability():
            answer.append(CapabilityData(capabilities))
        case Id():
            answer.append(IdData())
        case Enable():
            answer.append(EnabledData(()))
        case Search(return_options=None):
            answer.append(SearchData())
        case Search(uid=uid):
            answer.append(ESearchData(tagged.tag, uid))
        case Logout():
            answer.append(Condition(BYE, "logging out"))
        case Select() | Examine() | Status() | Namespace():
            raise LocalProtocolError("the answer needs data that only you have")
        case _:
            pass
    name = type(tagged.command).__name__.upper()
    return [*answer, Completion(tagged.tag, OK, f"{name} completed")]


def negative_answer(event: InvalidCommand) -> Response:
    """What an invalid command asks for; untagged where it had no tag."""
    if event.tag is None:
        return Condition(event.state, event.problem, event.code)
    return Completion(event.tag, event.state, event.problem, event.code)
