"""One example session of an RFC, played on both machines.

The client's machine is given the commands and has to say the ``C:`` lines; it yields the replies.
The server's machine is given the ``C:`` lines and has to yield the commands; it is told the replies
and has to say the ``S:`` lines. A server words its positive reply to EHLO itself: what is asked is
that it offers what the example's server offers.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from itertools import count

from mailproto import smtp
from mailproto.smtp.commands import Command
from mailproto.smtp.states import State
from mailproto.testing import TLS, play_server, transcript
from mailproto.testing.chop import drain
from mailproto.testing.script import Script

ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3}) ")
NOT_OFFERED = frozenset({"VRFY", "EXPN"})
"""Keywords of commands: VRFY every server here knows, and EXPN where an example uses it."""
BARE = smtp.Offer(enhanced_codes=False)
INSECURE = smtp.Offer(enhanced_codes=False, insecure_auth=True)


def mail(path: str, *parameters: smtp.MailParameter, **fields: object) -> smtp.Mail:
    reverse_path = smtp.Mailbox.parse(path) if path else smtp.NULL_PATH
    return smtp.Mail(reverse_path, parameters=parameters, **fields)  # type: ignore[arg-type]  # any field


def rcpt(path: str, *parameters: smtp.RcptParameter) -> smtp.Rcpt:
    return smtp.Rcpt(smtp.Mailbox.parse(path), parameters)


def data(*lines: str) -> list[Command]:
    """DATA, its content and the end of it."""
    content = "".join(f"{line}\r\n" for line in lines).encode()
    return [smtp.Data(), *([smtp.Body(content)] if content else []), smtp.EndOfMessage()]


def play(
    text: str,
    commands: Sequence[object],
    *,
    hostname: str = "foo.com",
    offer: smtp.Offer = BARE,
    under_tls: smtp.Offer | None = None,
    limits: smtp.SMTPServerLimits | None = None,
    lmtp: bool = False,
    tls: bool = False,
    trusted: bool = False,
) -> None:
    """Play the script on both machines; ``under_tls`` is what the server offers after STARTTLS."""
    play_on_client(text, commands, lmtp=lmtp, tls=tls, insecure=offer.insecure_auth)
    server = smtp.Server(
        hostname, lmtp=lmtp, tls=tls, offer=offer, limits=limits, trust_auth_parameter=trusted
    )
    play_on_server(text, commands, server, under_tls)


def play_on_client(
    text: str,
    commands: Iterable[object],
    *,
    lmtp: bool = False,
    tls: bool = False,
    insecure: bool = False,
) -> smtp.Client:
    """The client says the ``C:`` lines and yields what the ``S:`` lines say."""
    client = smtp.Client(lmtp=lmtp, tls=tls, allow_insecure_auth=insecure)
    script = transcript(text)
    events = play_server(script, client, commands)
    assert events == [read(block, enhanced=True) for block in blocks(script)]
    return client


def play_on_server(
    text: str,
    commands: Iterable[object],
    server: smtp.Server,
    under_tls: smtp.Offer | None = None,
) -> None:
    """The server yields the commands and, told what to answer, says the ``S:`` lines."""
    script = transcript(text)
    said = blocks(script)
    enhanced = server.offer.enhanced_codes
    answers = [read(block, enhanced=enhanced) for block in said]
    numbers = count()
    own: dict[int, smtp.Capabilities] = {}

    def answer(machine: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Body) or (
            event is smtp.PAUSED and machine.state is not State.GREETING
        ):
            return
        for _ in range(machine.replies_due):
            number = next(numbers)
            reply = answers[number]
            hello = isinstance(event, smtp.Ehlo | smtp.Helo | smtp.Lhlo)
            if hello and isinstance(reply, smtp.Reply) and reply.positive:
                own[number] = machine.capabilities
                machine.accept()
                continue
            if isinstance(event, smtp.Invalid):
                assert isinstance(reply, smtp.Reply)
                assert event.reply.code // 100 == reply.code // 100, event
            if isinstance(reply, smtp.Reply) and reply.code == 355:
                machine.resume(int(reply.text.partition(" ")[0]), recipients=1)
            else:
                machine.send(reply)

    events: list[object] = []
    output: list[bytes] = []
    number = 0
    for step in steps(script):
        drain(server, answer, events, output)
        if isinstance(step, TLS):
            assert not b"".join(output)
            server.start_tls()
            server.offer = under_tls or server.offer
        elif isinstance(step, bytes):
            server.receive_data(step)
        else:
            reply, rest = first_reply(b"".join(output))
            output[:] = [rest]
            if number in own:
                check_offer(own[number], step)
                assert reply[0][:4] in (step[0][:4], step[0][:3] + b"-"), reply
            else:
                assert reply == step
            number += 1
    drain(server, answer, events, output)
    assert not b"".join(output)
    assert joined(events) == list(yielded(commands))


def steps(script: Script) -> Iterable[TLS | bytes | list[bytes]]:
    """What the client says, line by line; what the server says, reply by reply."""
    block: list[bytes] = []
    for line in script:
        if isinstance(line, TLS):
            yield line
        elif line.side == "C":
            yield line.data + b"\r\n"
        else:
            block.append(line.data)
            if line.data[3:4] != b"-":
                yield block
                block = []
    assert not block


def blocks(script: Script) -> list[list[bytes]]:
    """The replies of the script."""
    return [step for step in steps(script) if isinstance(step, list)]


def first_reply(output: bytes) -> tuple[list[bytes], bytes]:
    lines: list[bytes] = []
    while output:
        line, _, output = output.partition(b"\r\n")
        lines.append(line)
        if line[3:4] != b"-":
            break
    return lines, output


def read(block: list[bytes], *, enhanced: bool = False) -> smtp.Reply | smtp.Challenge:
    """A second reading of a reply, by which the machines are judged."""
    code = int(block[0][:3])
    texts = [line[4:].decode() for line in block]
    if code == 334:
        return smtp.Challenge(b64decode(texts[0], validate=True))
    match = ENHANCED.match(texts[0]) if enhanced else None
    if match is None:
        return smtp.Reply(code, tuple(texts))
    status = smtp.EnhancedCode(int(match[1]), int(match[2]), int(match[3]))
    assert all(text.startswith(match[0]) for text in texts)
    return smtp.Reply(code, tuple(text[match.end() :] for text in texts), status)


def check_offer(offered: smtp.Capabilities, block: list[bytes]) -> None:
    """The server offers what the one of the example does."""
    wanted = smtp.Capabilities.of_reply(smtp.Reply(250, tuple(line[4:].decode() for line in block)))
    for keyword, values in wanted.keywords.items():
        if keyword not in NOT_OFFERED:
            assert keyword in offered
            assert not values or set(values) <= set(offered.keywords[keyword]), keyword


def joined(events: Iterable[object]) -> list[object]:
    """The events: pieces of content joined, and of what was refused the command."""
    found: list[object] = []
    for event in events:
        if isinstance(event, smtp.Body) and found and isinstance(found[-1], smtp.Body):
            found[-1] = smtp.Body(found[-1].data + event.data)
        elif isinstance(event, smtp.Invalid) and event.command is not None:
            found.append(event.command)
        else:
            found.append(event)
    return found


def yielded(commands: Iterable[object]) -> Iterable[object]:
    """What a server yields for these commands: the end of a chunk instead of BDAT."""
    chunk: smtp.Bdat | None = None
    for command in commands:
        if isinstance(command, smtp.Bdat):
            chunk = command
            if command.size:
                continue
        else:
            yield command
        if chunk is not None:
            yield smtp.EndOfMessage() if chunk.last else smtp.EndOfChunk(chunk.size)
            chunk = None
