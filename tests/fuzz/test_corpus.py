"""The fuzz targets on their corpus and on mutations of it, always the same ones.

The corpus has conversations of each protocol, inputs that once broke a promise (`found-...`) and
what a fuzzer has reached beyond them (`reached-...`, kept by `scripts/distil_corpus.py`). What
finds new ones is `make fuzz`; here is seen that none comes back, and that the targets can fail.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mailproto import pop3, smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.testing import fuzz

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())
MUTATIONS = 300
LONGEST = 512


@pytest.mark.parametrize("file", FILES, ids=str)
def test_P01_P08_P09_P11_P13_P15_of_the_corpus(file: Path) -> None:
    fuzz.TARGETS[file.parts[0]]((CORPUS / file).read_bytes())


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_P01_P11_P13_P15_of_mutations(target: str) -> None:
    seeds = [(CORPUS / file).read_bytes() for file in FILES if file.parts[0] == target]
    chance = random.Random(target)
    for _ in range(MUTATIONS):
        data = mutation(seeds, chance)
        try:
            fuzz.TARGETS[target](data)
        except Exception as error:
            error.add_note(f"the input was {data!r}")
            raise


def mutation(seeds: list[bytes], chance: random.Random) -> bytes:
    """A seed with a few changes, without the measuring of time and memory."""
    data = bytearray(chance.choice(seeds)[:LONGEST])
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at:at] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                other = chance.choice(seeds)
                start = chance.randrange(len(other))
                data[at:at] = other[start : start + chance.randint(1, 40)]
            case 4:
                data[at:at] = chance.choice([b"\r\n", b"\xff\0", b"\r", b"\n.", b"{3}\r\n", b"*"])
            case _:
                data[:2] = chance.randbytes(2)
    return fuzz.without_flood(bytes(data))


# ------------------------------------------------------------------ the targets can fail


class ForgetfulServer(pop3.Server):
    """Loses what was received before an event, so that pipelined commands disappear."""

    def _advance(self):
        event = super()._advance()
        if isinstance(event, pop3.User):
            self._input.clear()
        return event


class LeakyServer(smtp.Server):
    """Says something although it refuses."""

    def send(self, item: smtp.Reply | smtp.Challenge) -> None:
        try:
            super().send(item)
        except LocalProtocolError:
            self._output.write(b"250 sorry\r\n")
            raise


class ForgivingServer(smtp.Server):
    """Goes on after a failure."""

    def next_event(self):
        try:
            return super().next_event()
        except RemoteProtocolError:
            self._failure = None
            raise


def accept(machine: pop3.Server | smtp.Server, event: object) -> None:
    try:
        machine.accept()
    except LocalProtocolError:
        pass


def test_what_depends_on_chunks_is_found() -> None:
    offer = pop3.Offer(insecure_auth=True)
    with pytest.raises(fuzz.Violation, match="P01: events depends on chunks"):
        fuzz.check_handler(
            b"\0\0\0\xff\0USER x\r\nPASS y\r\n", lambda: ForgetfulServer(offer=offer), accept
        )


def test_a_failure_that_is_not_final_is_found() -> None:
    with pytest.raises(fuzz.Violation, match="not failed"):
        fuzz.check_handler(b"\0\0\0\xff\0" + b"x" * 3000, ForgivingServer, accept)


def test_a_refusal_that_says_something_is_found() -> None:
    case = fuzz.Case.parse(b"\0\0\0\xff\0NOOP\r\n")

    class Application:
        def __init__(self, conversation: fuzz.Conversation[LeakyServer]) -> None:
            self._conversation = conversation

        def answer(self, machine: LeakyServer, event: object) -> None:
            self._conversation.say(smtp.Reply(999, "x"))

        def move(self, machine: LeakyServer, turn: fuzz.Turn) -> None:
            pass

    with pytest.raises(fuzz.Violation, match=r"was refused .* but left b'250 sorry"):
        fuzz.check(case, lambda case: LeakyServer(), Application)


def test_what_a_handler_raises_comes_out() -> None:
    def handler(machine: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Noop):
            raise KeyError(event.text)
        machine.accept()

    fuzz.check_handler(b"\0\0\0\xff\0RSET\r\n", smtp.Server, handler)
    with pytest.raises(KeyError):
        fuzz.check_handler(b"\0\0\0\xff\0NOOP x\r\n", smtp.Server, handler)


def test_P08_P09_memory_and_work_out_of_hand_are_found() -> None:
    held: list[bytes] = []

    def keep(machine: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Noop):
            held.append(event.text.encode() * 9)
        machine.accept()

    class Keeping:
        def __init__(self, conversation: fuzz.Conversation[smtp.Server]) -> None:
            pass

        def answer(self, machine: smtp.Server, event: object) -> None:
            keep(machine, event)

        def move(self, machine: smtp.Server, turn: fuzz.Turn) -> None:
            pass

    # Otherwise so many of the same command would end the session.
    patient = smtp.SMTPServerLimits(idle_commands=10**6)
    case = fuzz.Case.parse(b"\0\0\0\xff\0NOOP " + b"x" * 100 + b"\r\n")
    with pytest.raises(fuzz.Violation, match="P08"):
        fuzz.check_flood(case, lambda case: smtp.Server(limits=patient), Keeping)

    class Slow(Keeping):
        seen = 0

        def answer(self, machine: smtp.Server, event: object) -> None:
            type(self).seen += 1
            sum(range(type(self).seen ** 2 // 16))
            machine.accept()

    def fresh(case: fuzz.Case) -> smtp.Server:
        Slow.seen = 0
        return smtp.Server(limits=patient)

    with pytest.raises(fuzz.Violation, match="P09"):
        fuzz.check_flood(case, fresh, Slow)
