"""UTF8, LANG, LOGIN-DELAY, EXPIRE, RPOP and LAST of the server over a store, octet for octet."""

from __future__ import annotations

import email.policy
import poplib
from email.parser import BytesParser
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import pop3, sasl, sync
from mailproto.backend import MemoryStore, StoreError
from mailproto.backend.directory import Users
from mailproto.errors import DeadlineExceeded
from mailproto.flows.effects import Deadline, Flow, Read, Write, read, write
from mailproto.flows.pop3_maildrop import Internationalized, Sizes
from mailproto.flows.pop3_policy import Logins, Policy
from mailproto.flows.pop3_server import Context, Options, serve
from mailproto.flows.pop3_texts import TEXTS, Translation
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.testing import converse

WRONG = b"-ERR [AUTH] the user name or the password is wrong"
LOGIN = b"USER alice\r\nPASS secret\r\n"
ASCII = b"Subject: one\r\n\r\nfirst\r\n"
NATIVE = "From: José <josé@example.com>\r\nSubject: Grüße\r\n\r\nHällo\r\nzwei\r\n".encode()
BODY = "Subject: two\r\n\r\nHällo\r\n".encode()


def context(*contents: bytes, prefix: bytes = b"", **options: object) -> Context:
    store = MemoryStore()
    for content in contents:
        draft = store.draft()
        draft.write(content)
        store.deliver(draft, {"alice": prefix})
    return Context(
        store,
        Users({"alice": "secret", "andré": "pässword"}),
        Shutdown(),
        sasl.Offer(allow_insecure_auth=True),
        True,
        options=Options(**options),  # type: ignore[arg-type]  # keywords of Options
    )


def heard(served: Context, said: bytes, peer: Peer | None = None) -> list[bytes]:
    """The lines behind the greeting that a client hears who says this and hangs up."""

    def client() -> Flow[bytes]:
        octets = (yield from read()) or b""
        yield from write(said)
        while piece := (yield from read()):
            octets += piece
        return octets

    octets, _ = converse(client(), serve(served.machine(), served, peer))
    return octets.split(b"\r\n")[1:-1]


# ------------------------------------------------------------------------------ RFC 6856, UTF8


def test_without_utf8_a_message_comes_as_its_surrogate_and_sizes_are_those_sent() -> None:
    served = context(ASCII, NATIVE, BODY)
    for _ in range(2):
        lines = heard(served, LOGIN + b"STAT\r\nLIST\r\nLIST 2\r\nRETR 2\r\nTOP 2 1\r\nQUIT\r\n")
        sizes = [int(line.split()[1]) for line in lines[4:7]]
        assert lines[2] == b"+OK 3 %d" % sum(sizes)
        assert lines[8] == b"+OK 2 %d" % sizes[1]
        start = 10
        end = lines.index(b".", start)
        message = b"\r\n".join([*lines[start:end], b""])
        assert lines[9] == b"+OK %d octets" % len(message)
        assert len(message) == sizes[1] != len(NATIVE)
        assert sizes[::2] == [len(ASCII), len(BODY)]
        mail = BytesParser(policy=email.policy.default).parsebytes(message)
        assert mail["Subject"] == "Grüße"
        assert mail["From"].addresses[0].domain == "internationalized-address.invalid"
        assert message.endswith("Hällo\r\nzwei\r\n".encode())
        top = lines[end + 2 : lines.index(b".", end + 1)]
        assert message == b"\r\n".join([*top, b"zwei", b""])


@pytest.mark.parity("pop3-client UTF8", "pop3-server UTF8")
def test_with_utf8_a_message_comes_as_it_is() -> None:
    lines = heard(context(NATIVE), b"UTF8\r\n" + LOGIN + b"LIST 1\r\nRETR 1\r\nQUIT\r\n")
    assert lines[3] == b"+OK 1 %d" % len(NATIVE)
    assert b"\r\n".join([*lines[5:-2], b""]) == NATIVE


def test_a_server_can_refuse_instead() -> None:
    served = context(NATIVE, BODY, internationalized=Internationalized.REFUSE)
    lines = heard(served, LOGIN + b"RETR 1\r\nTOP 1 0\r\nRETR 2\r\nQUIT\r\n")
    assert lines[2:4] == [b"-ERR [UTF8] the message needs the UTF8 command"] * 2
    assert lines[4] == b"+OK %d octets" % len(BODY)


def test_a_message_that_is_too_deep_for_a_surrogate_is_refused() -> None:
    """Something beyond ASCII might be left in it."""
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 500 + NATIVE
    lines = heard(context(deep), LOGIN + b"RETR 1\r\nQUIT\r\n")
    assert lines[2] == b"-ERR [UTF8] the message needs the UTF8 command"
    lines = heard(context(deep), b"UTF8\r\n" + LOGIN + b"RETR 1\r\nQUIT\r\n")
    assert lines[3:-2] == [b"+OK %d octets" % len(deep), *deep.split(b"\r\n")[:-1]]


def test_a_server_can_leave_everything_as_it_is() -> None:
    served = context(NATIVE, internationalized=Internationalized.AS_IS)
    lines = heard(served, b"UTF8\r\n" + LOGIN + b"RETR 1\r\nQUIT\r\n")
    assert lines[0].startswith(b"-ERR")
    assert b"\r\n".join([*lines[4:-2], b""]) == NATIVE


def test_user_and_pass_beyond_ascii_are_prepared() -> None:
    """RFC 6856 section 2.2: composed and decomposed forms are the same, prohibited ones fail."""
    said = (
        "USER andre\N{COMBINING ACUTE ACCENT}\r\nPASS pa\N{COMBINING DIAERESIS}ssword\r\nQUIT\r\n"
    )
    assert heard(context(), said.encode())[1].startswith(b"+OK")
    refused = heard(context(), "USER andré\r\nPASS \ue000\r\nQUIT\r\n".encode())
    assert refused[1].startswith(b"-ERR [AUTH]")
    assert heard(context(), b"USER caf\xe9\r\nQUIT\r\n")[0] == b"-ERR the name is not UTF-8"


# ------------------------------------------------------------------------------ RFC 6856, LANG

SPANISH = Translation("es", "Español", {"language changed": "Idioma cambiado"})
MARKED = Translation("x-marked", "", {text: f"<{text}>" for text in TEXTS})


@pytest.mark.parity("pop3-server LANG")
def test_languages_are_listed_and_chosen() -> None:
    served = context(languages=(SPANISH, Translation("sv-SE", "Svenska")))
    lines = heard(served, b"LANG\r\nLANG ES\r\nLANG e\r\nLANG sv\r\nLANG *\r\nLANG en\r\nQUIT\r\n")
    assert [line.decode() for line in lines] == [
        "+OK Language listing follows",
        "en English",
        "es Español",
        "sv-SE Svenska",
        ".",
        "+OK es Idioma cambiado",
        "-ERR no such language",
        "+OK sv-SE language changed",
        "+OK es Idioma cambiado",
        "+OK en language changed",
        "+OK bye",
    ]
    assert heard(context(), b"LANG\r\nQUIT\r\n")[0] == b"-ERR LANG is not available"


def test_everything_that_is_said_can_be_translated() -> None:
    served = context(NATIVE, languages=(MARKED,), internationalized=Internationalized.REFUSE)
    said = (
        b"LANG x-marked\r\nnope\r\nSTAT\r\nCAPA x\r\nUSER\r\nPASS x\r\nSTLS\r\nAPOP x\r\nLAST\r\n"
        b"USER alice\r\nPASS wrong\r\nAUTH X\r\nAUTH PLAIN\r\n*\r\nUTF8 x\r\n" + LOGIN
    )
    said += b"RETR 1\r\nRETR 9\r\nRETR x\r\nTOP 1\r\nDELE 1\r\nUIDL\r\nLIST\r\nQUIT\r\n"
    for line in heard(served, said):
        text = line.split(b" ", 1)[-1].removeprefix(b"[AUTH] ").removeprefix(b"[UTF8] ")
        if line[:1] in (b"+", b"-") and line != b"+ ":
            assert text.removeprefix(b"x-marked ").startswith(b"<"), line


@pytest.mark.parametrize("text", ["", "[AUTH] x", "a\r\nb", "\0", "\ud800", "x" * 600])
def test_a_translation_that_fits_on_no_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"one line|surrogates"):
        Translation("es", "", {"bye": text})


# -------------------------------------------------------------- LOGIN-DELAY, EXPIRE, codes, LAST


@pytest.mark.parity("pop3-client LOGIN-DELAY", "pop3-server LOGIN-DELAY")
def test_rfc2449_login_delay_is_announced_and_enforced() -> None:
    now = 100.0
    served = context(policy=Policy(900), logins=Logins(lambda: now))
    lines = heard(served, b"CAPA\r\n" + LOGIN + b"QUIT\r\n")
    assert b"LOGIN-DELAY 900" in lines
    now = 999.5
    refused = heard(served, LOGIN + b"QUIT\r\n")
    assert refused[1] == b"-ERR [LOGIN-DELAY] logged in too recently: wait 1 seconds"
    now = 1000.0
    assert heard(served, LOGIN + b"QUIT\r\n")[1].startswith(b"+OK")


def test_rfc2449_what_differs_by_user_is_told_before_and_after_login() -> None:
    served = context(
        policy=Policy(900, pop3.Expire(5)), policy_of=lambda _: Policy(60, pop3.Expire(30))
    )
    lines = heard(served, b"CAPA\r\n" + LOGIN + b"CAPA\r\nQUIT\r\n")
    end = lines.index(b".")
    assert {b"LOGIN-DELAY 900 USER", b"EXPIRE 5 USER"} <= set(lines[:end])
    assert {b"LOGIN-DELAY 60", b"EXPIRE 30"} <= set(lines[end:])


@pytest.mark.parametrize("per_user", [False, True])
def test_rfc2449_expire_0_removes_what_was_retrieved(per_user: bool) -> None:
    served = context(ASCII, BODY, ASCII, policy=Policy(expire=pop3.Expire(0, per_user)))
    assert b"EXPIRE 0" in heard(served, b"CAPA\r\n")
    assert b"EXPIRE 0" in heard(served, LOGIN + b"CAPA\r\nRETR 1\r\n")
    lines = heard(served, LOGIN + b"RETR 1\r\nTOP 2 0\r\nQUIT\r\n")
    assert lines[1] == b"+OK 3 messages"
    assert lines[-1] == b"+OK bye (2 messages left)"


@pytest.mark.parity("pop3-client RPOP", "pop3-server RPOP")
@pytest.mark.parametrize(
    ("user", "name", "port", "answer"),
    [
        ("alice", "root", 1023, b"+OK 1 messages"),
        ("alice", "root", 1024, WRONG),
        ("alice", "root", 0, WRONG),
        ("alice", "guest", 1023, WRONG),
        ("bob", "root", 1023, WRONG),
    ],
)
def test_rpop_takes_the_word_of_a_host_that_is_trusted(
    user: str, name: str, port: int, answer: bytes
) -> None:
    asked = list[tuple[str, str, str]]()

    def trusted(peer: Peer, account: str, remote: str) -> bool:
        asked.append((peer.address, account, remote))
        return (account, remote) == ("alice", "root")

    served = context(ASCII, rpop=trusted)
    said = f"RPOP root\r\nUSER {user}\r\nRPOP {name}\r\nSTAT\r\n".encode()
    lines = heard(served, said, Peer("10.0.0.1", port, "10.0.0.2", 110))
    assert lines[0] == b"-ERR RPOP must follow USER"
    assert lines[2] == answer
    assert (lines[3][:3] == b"+OK") is (answer[:3] == b"+OK")
    assert asked == ([("10.0.0.1", user, name)] if port == 1023 else [])


@pytest.mark.parametrize(
    ("served", "answer"),
    [
        (context(ASCII), "RPOP is not available"),
        (context(ASCII, rpop=lambda *_: False), "the user name or the password is wrong"),
    ],
    ids=["off", "on"],
)
def test_rpop_of_poplib_is_refused(served: Context, answer: str) -> None:
    def session(peer: Peer) -> Flow[None]:
        return serve(served.machine(), served, peer)

    with sync.Server(served.shutdown) as server:
        client = poplib.POP3("127.0.0.1", server.listen("127.0.0.1", 0, session), timeout=20)
        client.user("alice")
        with pytest.raises(poplib.error_proto, match=answer):
            client.rpop("root")
        client.quit()


@pytest.mark.parity("pop3-client LAST", "pop3-server LAST")
def test_last_is_an_option() -> None:
    said = LOGIN + b"LAST\r\nRETR 2\r\nRETR 1\r\nLAST\r\nDELE 3\r\nLAST\r\nRSET\r\nLAST\r\nQUIT\r\n"
    lines = heard(context(ASCII, ASCII, ASCII, last=True), said)
    told = [b"+OK %d" % message for message in range(4)]
    assert [line for line in lines if line in told] == [told[0], told[2], told[3], told[0]]
    assert heard(context(ASCII), LOGIN + b"LAST\r\nQUIT\r\n")[2] == b"-ERR LAST is not available"


@pytest.mark.parity("pop3-server IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes")
@pytest.mark.parametrize(
    "login",
    [
        LOGIN,
        b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        b"AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWZ5a28rZDJsYmJGZ09OUnY5cWt4ZGF3TA==\r\n",
        b"APOP alice " + b"0" * 32 + b"\r\n",
    ],
    ids=["PASS", "initial response", "response", "SCRAM", "APOP"],
)
def test_rfc3206_a_directory_that_fails_is_a_temporary_failure(
    login: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise StoreError("no answer")

    served = context(apop_password=fail)
    monkeypatch.setattr(served.directory, "verify", fail)
    monkeypatch.setattr(served.directory, "lookup", fail)
    lines = heard(served, login + b"NOOP\r\nQUIT\r\n")
    refused = [line for line in lines if line.startswith(b"-ERR")]
    assert refused[0].startswith(b"-ERR [SYS/TEMP] ")
    # Not one of the three that a client may fail: the credentials were not at fault.
    assert lines[-1] == b"+OK bye"


# ------------------------------------------------------------------------- sizes (section 11)

MAILBOX = type(MemoryStore().account("alice").open("INBOX"))
PIECES = st.sampled_from(
    [b"text", b".", b"\r\n", b"\r", b"\n", "Subject: ü\r\n".encode(), "ü".encode(), b"\r\n\r\n"]
)
CONTENTS = st.lists(PIECES, max_size=8).map(b"".join)


def messages_of(lines: list[bytes], count: int) -> tuple[list[int], list[int], list[int]]:
    """What LIST told, what the answers to RETR told, and the octets that came; from the log."""
    listing = lines.index(b".")
    listed = [int(line.split()[1]) for line in lines[listing - count : listing]]
    rest = lines[listing + 1 :]
    told: list[int] = []
    came: list[int] = []
    for _ in range(count):
        end = rest.index(b".")
        told.append(int(rest[0].split()[1]))
        came.append(sum(len(line) + 2 - line.startswith(b".") for line in rest[1:end]))
        rest = rest[end + 1 :]
    return listed, told, came


@pytest.mark.parity("pop3-server sizes as sent")
@settings(max_examples=60)
@given(st.lists(CONTENTS, min_size=1, max_size=4), st.booleans(), st.sampled_from([b"", b"x: y\n"]))
def test_rfc1939_section_11_sizes_are_the_octets_that_are_sent(
    contents: list[bytes], utf8: bool, prefix: bytes
) -> None:
    """Whatever lies in the store: without a final CRLF, with bare newlines, beyond ASCII."""
    served = context(*contents, prefix=prefix)
    retrieved = b"".join(b"RETR %d\r\n" % number for number in range(1, len(contents) + 1))
    said = (b"UTF8\r\n" if utf8 else b"") + LOGIN + b"STAT\r\nLIST\r\n" + retrieved
    for order in (said, said.replace(b"STAT\r\nLIST\r\n" + retrieved, b"LIST\r\n" + retrieved)):
        lines = heard(served, order + b"STAT\r\nQUIT\r\n")
        listed, told, came = messages_of(lines, len(contents))
        assert listed == told == came
        assert lines[-2] == b"+OK %d %d" % (len(contents), sum(came))


def test_rfc1939_section_11_sizes_are_right_whatever_is_asked_first() -> None:
    irregular = b"no\nend"
    for said in (b"STAT", b"LIST 1", b"RETR 1"):
        lines = heard(context(irregular), LOGIN + said + b"\r\nQUIT\r\n")
        assert lines[2].split()[1 if said == b"RETR 1" else 2] == b"9"


def test_P08_sizes_that_were_found_out_are_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailproto.flows.pop3_maildrop._KEPT_SIZES", 3)
    sizes = Sizes()
    keys = [("alice", 1, uid, Internationalized.SURROGATE) for uid in range(5)]
    for size, key in enumerate(keys):
        sizes.keep(key, size)
    assert [sizes.get(key) for key in keys] == [None, None, None, 3, 4]


def test_the_size_is_told_with_a_whole_message_only() -> None:
    lines = heard(context(ASCII), LOGIN + b"RETR 1\r\nTOP 1 0\r\nQUIT\r\n")
    assert [line for line in lines[2:-1] if line[:3] == b"+OK"] == [b"+OK 23 octets", b"+OK"]


def test_only_messages_that_are_sent_in_another_form_are_read_for_their_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not at login and not for UIDL; once for all sessions."""
    served = context(ASCII, NATIVE, b"no end", ASCII)
    real, read_uids = MAILBOX.content, list[int]()

    def content(self: Any, uid: int) -> object:
        read_uids.append(uid)
        return real(self, uid)

    monkeypatch.setattr(MAILBOX, "content", content)
    heard(served, LOGIN + b"UIDL\r\nLIST 1\r\nDELE 3\r\n")
    assert read_uids == []
    for _ in range(2):
        heard(served, LOGIN + b"STAT\r\nLIST\r\nLIST 2\r\nSTAT\r\n")
        assert read_uids == [2, 3]


def test_a_store_that_does_not_tell_is_taken_at_its_word_and_no_size_is_told_with_the_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = context(b"no\nend")
    real = MAILBOX.page

    def page(self: Any, after: int, limit: int) -> list[object]:
        return [evolve(info, canonical=None, eight_bit=None) for info in real(self, after, limit)]

    monkeypatch.setattr(MAILBOX, "page", page)
    lines = heard(served, LOGIN + b"LIST 1\r\nRETR 1\r\nQUIT\r\n")
    assert lines[2:7] == [b"+OK 1 6", b"+OK", b"no", b"end", b"."]


def test_a_content_that_is_shorter_than_its_size_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a message must not pass for a whole one."""
    served = context(b"x" * 200_000 + b"\r\n")
    real = MAILBOX.content

    class Short:
        def __init__(self, content: Any) -> None:
            self.content, self.size = content, content.size

        def read(self, offset: int, size: int) -> bytes:
            return b"" if offset > 100_000 else self.content.read(offset, size)

    monkeypatch.setattr(MAILBOX, "content", lambda self, uid: Short(real(self, uid)))
    with pytest.raises(StoreError, match="shorter"):
        heard(served, LOGIN + b"RETR 1\r\nQUIT\r\n")


# ------------------------------------------------------------------------------- early talkers


@pytest.mark.parity("pop3-server early talkers and other protocols")
def test_P13_who_speaks_before_the_greeting_is_refused() -> None:
    served = evolve(context(ASCII), greeting_delay=5.0)
    flow = serve(served.machine(), served)
    assert next(flow) == Deadline(5.0)
    assert isinstance(flow.send(None), Read)
    effect = flow.send(b"USER alice\r\nPASS secret\r\n")
    while isinstance(effect, Deadline):
        effect = flow.send(None)
    assert effect == Write(b"-ERR the server speaks first\r\n")
    with pytest.raises(StopIteration):
        flow.send(None)


def test_who_waits_for_the_greeting_gets_it() -> None:
    served = evolve(context(ASCII), greeting_delay=5.0)
    flow = serve(served.machine(), served)
    next(flow)
    flow.send(None)
    effect = flow.throw(DeadlineExceeded("silence"))
    while isinstance(effect, Deadline):
        effect = flow.send(None)
    assert effect == Write(b"+OK POP3 server ready\r\n")
