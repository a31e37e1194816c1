"""RFC 9051 section 5.5 and RFC 3501 section 5.5: which commands may not overlap."""

from __future__ import annotations

import pytest

from mailproto import imap
from mailproto.imap.pipelining import conflict

FETCH_FLAGS = imap.Fetch("1", imap.FetchAtt.FLAGS)
FETCH_TEXT = imap.Fetch("1", imap.BodySection(peek=True))
STORE = imap.Store("1", imap.StoreAction.ADD, "x")
SEARCH = imap.Search(imap.SearchFlag.ALL)
UID_FETCH = imap.Fetch("1", imap.FetchAtt.UID, uid=True)
UID_STORE = imap.Store("1", imap.StoreAction.ADD, "x", uid=True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # "a FETCH, STORE or SEARCH while a command is in progress that is none of these"
        (imap.Noop(), FETCH_TEXT),
        (imap.Check(), STORE),
        (imap.Copy("1", "x"), SEARCH),
        (imap.Status("x", imap.StatusItem.UNSEEN), imap.Copy("1", "x")),
        (UID_FETCH, FETCH_TEXT),
        (imap.Expunge(), imap.Move("1", "x")),
        # "ambiguity: the FLAGS of a FETCH beside a STORE"
        (STORE, FETCH_FLAGS),
        (FETCH_FLAGS, STORE),
        (UID_STORE, imap.Search(imap.SearchFlag.ALL, uid=True)),
        (STORE, imap.Fetch("1", imap.BodySection())),
        (STORE, imap.Fetch("1", imap.FetchMacro.FAST)),
        # the mailbox that they are about
        (imap.Select("x"), UID_FETCH),
        (imap.Select("x"), imap.Select("y")),
        (UID_FETCH, imap.Close()),
        (imap.Unselect(), imap.Expunge("1")),
        # nothing beside these
        (imap.StartTLS(), imap.Noop()),
        (imap.Noop(), imap.StartTLS()),
        (imap.Login("u", "p"), imap.Select("x")),
        (imap.Capability(), imap.Authenticate("PLAIN")),
        (imap.Idle(), imap.Noop()),
        (imap.Logout(), imap.Noop()),
    ],
)
def test_what_must_wait(first: imap.Command, second: imap.Command) -> None:
    assert conflict(first, second) is not None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FETCH_TEXT, FETCH_FLAGS),
        (FETCH_TEXT, STORE),
        (SEARCH, SEARCH),
        (FETCH_FLAGS, imap.Noop()),
        (UID_FETCH, UID_STORE),
        (UID_STORE, imap.Fetch("1", imap.BodySection(peek=True), uid=True)),
        (imap.List("", "*"), imap.Status("x", imap.StatusItem.UNSEEN)),
        (imap.Append("x", b""), imap.Append("y", b"")),
        (imap.Select("x"), imap.List("", "*")),
        (imap.Noop(), imap.Idle()),
        (imap.Noop(), imap.Logout()),
    ],
)
def test_what_may_overlap(first: imap.Command, second: imap.Command) -> None:
    assert conflict(first, second) is None
