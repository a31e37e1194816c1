"""Exceptions: one tree, and what their texts say."""

from __future__ import annotations

import inspect

import pytest

from mailproto import errors
from mailproto.errors import AuthenticationFailed, CommandFailed, RemoteProtocolError


def test_every_exception_is_a_MailError_and_is_exported() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert found == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.MailError) for name in found)


def test_those_of_the_transport_are_also_the_ones_of_python() -> None:
    assert issubclass(errors.ConnectionLost, ConnectionError)
    assert issubclass(errors.DeadlineExceeded, TimeoutError)


@pytest.mark.parametrize("kind", [CommandFailed, AuthenticationFailed])
@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        ("not today", None, "MAIL was refused: not today"),
        ("550 5.1.1 not today", "550", "MAIL was refused: 550 5.1.1 not today"),
        ("no such mailbox", "TRYCREATE", "MAIL was refused: [TRYCREATE] no such mailbox"),
        ("", None, "MAIL was refused: no reason is given"),
        ("", "IN-USE", "MAIL was refused: [IN-USE] no reason is given"),
    ],
)
def test_a_refusal_says_what_and_why(
    kind: type[CommandFailed], answer: str, code: str | None, text: str
) -> None:
    error = kind("MAIL", answer, code=code, temporary=True)
    assert str(error) == text
    assert (error.command, error.answer, error.code, error.temporary) == (
        "MAIL",
        answer,
        code,
        True,
    )


def test_the_hint_of_a_broken_peer_is_what_a_server_may_say() -> None:
    assert RemoteProtocolError("broken").hint is None
    assert RemoteProtocolError("broken", "421 bye").hint == "421 bye"
