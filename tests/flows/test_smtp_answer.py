"""What is answered past the flow of a server is what the flow answers, octet for octet."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailproto import smtp
from mailproto.backend.store import OverQuota
from mailproto.flows.effects import Call, Deadline, Flow, Read, Write
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_server import Context, Handler, Origin, serve

NO = smtp.Reply(550, "no", smtp.EnhancedCode(5, 7, 1))


class Prompt(Handler):
    """Knows every answer at once, and sets the local part ``slow`` aside for a flow."""

    def __init__(self, _: Origin, log: list[object]) -> None:
        self.log = log
        self.body = b""

    def mail(self, mail: smtp.Mail) -> smtp.Reply | None:
        self.log.append(mail)
        self.body = b""
        return NO if "bad" in str(mail.reverse_path) else None

    def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply | Flow[smtp.Reply | None] | None:
        self.log.append(rcpt)
        name = str(rcpt.forward_path).partition("@")[0]
        if name == "full":
            raise OverQuota
        if name == "slow":
            return self._ponder()
        return NO if name == "bad" else None

    def _ponder(self) -> Flow[smtp.Reply | None]:
        yield Call(lambda: self.log.append("pondered"))
        return None

    def content(self, data: bytes) -> smtp.Reply | None:
        self.body += data
        if b"overflow" in self.body:
            raise OverQuota
        return None

    def end(self) -> smtp.Reply | Sequence[smtp.Reply] | None:
        self.log.append(self.body)
        return smtp.Reply(250, "queued") if b"tell" in self.body else None

    def abandon(self) -> None:
        self.log.append("abandoned")


ENVELOPE = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
DATA = ENVELOPE + b"DATA\r\n"
SESSIONS = {
    "accepted": DATA + b"hello\r\n..\r\n.\r\n" + DATA + b"tell\r\n.\r\nQUIT\r\n",
    "empty": DATA + b".\r\nNOOP\r\nQUIT\r\n",
    "refused": b"MAIL FROM:<bad@b>\r\n" + ENVELOPE + b"RCPT TO:<bad@d>\r\nRSET\r\nQUIT\r\n",
    "takes time": ENVELOPE + b"RCPT TO:<slow@d>\r\nDATA\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n",
    "store": ENVELOPE + b"RCPT TO:<full@d>\r\nDATA\r\noverflow\r\nmore\r\n.\r\nNOOP\r\n",
    "chunks": ENVELOPE + b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n" + ENVELOPE + b"BDAT 4 LAST\r\nab\r\n",
    "bare newline": DATA + b"x\ny\r\n.\r\nQUIT\r\n",
    "unknown": b"XFOO\r\nHELP\r\n\xff\r\nDATA\r\nEHLO you\r\nQUIT\r\n",
    "out of time": b"NOOP\r\n" * 200,
    "too many errors": b"FOO BAR\r\n" * 30,
    "line too long": b"NOOP " + b"x" * 20_000 + b"\r\n",
    "much content": DATA + b"much content\r\n" * 10_000 + b".\r\nQUIT\r\n",
    "end of file": ENVELOPE,
}


def drive(pieces: list[bytes], *, past: bool) -> tuple[bytes, list[object], bytes]:
    """What was written, what the handler was asked, and whether each effect was one of a deadline
    (``d``), a write (``w``) or an answer past the flow (``p``).
    """
    log: list[object] = []
    context = Context(lambda origin: Prompt(origin, log), Shutdown(), "mx")
    flow = serve(context.machine(), context)
    waiting = [b"EHLO me\r\n", *pieces]
    wrote, told = b"", b""
    result: object = None
    error: Exception | None = None
    while True:
        try:
            effect = flow.send(result) if error is None else flow.throw(error)
        except StopIteration:
            return wrote, log, told
        result = error = None
        if isinstance(effect, Write):
            wrote += effect.data
            told += b"w"
        elif isinstance(effect, Deadline):
            told += b"d"
        elif isinstance(effect, Call):
            result = effect.function()
        else:
            assert isinstance(effect, Read)
            result = waiting.pop(0) if waiting else b""
            while past and effect.answer is not None and isinstance(result, bytes) and result:
                try:
                    result = effect.answer(result)
                except Exception as caught:
                    error = caught
                    break
                if isinstance(result, bytes):
                    wrote += result
                    told += b"p"
                    result = waiting.pop(0) if waiting else b""


@pytest.mark.parametrize("size", [1, 5, 1448, 1 << 20])
@pytest.mark.parametrize("name", SESSIONS)
def test_P01_octets_answered_past_the_flow_are_answered_alike(name: str, size: int) -> None:
    octets = SESSIONS[name]
    if size < 977 and len(octets) > 50_000:
        size = 977
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    wrote, log, _ = drive(pieces, past=False)
    assert drive(pieces, past=True)[:2] == (wrote, log)
    assert drive([octets], past=False)[0] == wrote


def effects(*pieces: bytes) -> bytes:
    """As ``drive`` tells them, without those of the greeting and EHLO."""
    told = drive(list(pieces), past=True)[2]
    assert told.startswith(b"dwdw")
    return told[4:]


def test_what_is_known_at_once_does_not_resume_the_flow() -> None:
    assert effects(*DATA.splitlines(keepends=True), b"x\r\n.\r\n") == b"pppp"
    assert effects(DATA, b"tell\r\n.\r\n", b"RCPT TO:<bad@d>\r\n", b"NOOP\r\n") == b"pppp"


def test_replies_are_sent_by_64() -> None:
    assert effects(b"NOOP\r\n" * 130) == b"dwdwdw"


def test_replies_that_took_time_are_sent_by_64() -> None:
    assert effects(b"VRFY alice\r\n" * 130) == b"dwdwdw"


def test_64_KiB_of_content_begin_the_deadline_anew() -> None:
    piece = b"x" * 998 + b"\r\n"
    told = effects(DATA, *[piece * 8] * 20, b".\r\n")
    assert told == b"p" + (b"p" * 8 + b"d") * 2 + b"pp" + b"p"
