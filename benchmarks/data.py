"""Mail to measure with. The same seed and name give the same octets on every machine."""

from __future__ import annotations

import base64
import functools
import random

SEED = 20260601

WORDS = (
    "the message was sent on Monday and arrived before noon with two parts one of which is a "
    "table of figures please find enclosed our answer to the question about delivery"
).split()
NAMES = "alice bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy".split()


def chance(name: str) -> random.Random:
    return random.Random(f"{SEED}:{name}")


HEADER = b"From: sender@example.test\r\nSubject: figures\r\n\r\n"
"""Every content starts with this: Twisted puts a blank line before content without a header."""


@functools.cache
def normal_content(size: int) -> bytes:
    """Lines of 0 to 78 octets, one in fifty with a leading dot; ends with CRLF."""
    rng = chance("normal")
    lines: list[bytes] = []
    total = len(HEADER)
    while total < size:
        line = " ".join(rng.choices(WORDS, k=rng.randrange(13)))[:78]
        if rng.random() < 0.02:
            line = "." + line[:77]
        lines.append(line.encode())
        total += len(line) + 2
    return HEADER + b"\r\n".join([*lines, b""])


@functools.cache
def base64_content(size: int) -> bytes:
    """Lines of 76 octets of base64: no dots at all."""
    text = base64.b64encode(chance("base64").randbytes(size * 57 // 78))
    lines = [text[start : start + 76] for start in range(0, len(text), 76)]
    return HEADER + b"\r\n".join([*lines, b""])


def dots_content(size: int) -> bytes:
    """Every line is a dot: the most stuffing there can be."""
    return HEADER + b".\r\n" * (size // 3)


def stuffed(content: bytes) -> bytes:
    """Content as it goes over the wire, with its end (RFC 5321 section 4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


# ------------------------------------------------------------------------------- IMAP

FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Draft", "$Forwarded", "$Junk", "NonJunk")


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def address(rng: random.Random) -> str:
    name = rng.choice(NAMES)
    shown = quoted(f"{name.title()} {rng.choice(NAMES).title()}") if rng.random() < 0.8 else "NIL"
    return f"({shown} NIL {quoted(f'{name}{rng.randrange(1000)}')} {quoted('example.test')})"


def text_part(rng: random.Random, subtype: str) -> str:
    size = rng.randrange(200, 60_000)
    return (
        f'("text" "{subtype}" ("charset" "utf-8" "format" "flowed") NIL NIL "quoted-printable" '
        f"{size} {size // 40} NIL NIL NIL NIL)"
    )


def attachment(rng: random.Random) -> str:
    name = quoted(f"figures-{rng.randrange(10_000)}.pdf")
    size = rng.randrange(10_000, 3_000_000)
    return (
        f'("application" "pdf" ("name" {name}) NIL NIL "base64" {size} NIL '
        f'("attachment" ("filename" {name} "size" "{size * 3 // 4}")) NIL NIL)'
    )


def body_structure(rng: random.Random) -> tuple[str, str]:
    """A BODYSTRUCTURE and its top media type."""
    shape = rng.random()
    if shape < 0.4:
        return text_part(rng, "plain"), "text/plain"
    parameters = f'("boundary" "=_{rng.randrange(1 << 40):x}") NIL NIL NIL'
    both = f'({text_part(rng, "plain")}{text_part(rng, "html")} "alternative" {parameters})'
    if shape < 0.7:
        return both, "multipart/alternative"
    return f'({both}{attachment(rng)} "mixed" {parameters})', "multipart/mixed"


def fetch_responses(count: int) -> tuple[list[bytes], list[tuple[object, ...]]]:
    """Untagged FETCH responses with all of ENVELOPE and BODYSTRUCTURE, and what they say.

    One subject in fifty is a literal. An expectation is (sequence number, uid, size, flags,
    subject, mailbox of the first From address, media type).
    """
    rng = chance("fetch")
    lines: list[bytes] = []
    said: list[tuple[object, ...]] = []
    for number in range(1, count + 1):
        uid, size = number * 3 + 1000, rng.randrange(500, 5_000_000)
        flags = sorted(rng.sample(FLAGS, rng.randrange(4)))
        subject = " ".join(rng.choices(WORDS, k=rng.randrange(1, 12)))
        literal = rng.random() < 0.02
        shown = f"{{{len(subject)}}}\r\n{subject}" if literal else quoted(subject)
        sender = address(rng)
        receivers = "".join(address(rng) for _ in range(rng.randrange(1, 4)))
        copies = f"({address(rng)})" if rng.random() < 0.3 else "NIL"
        day, month = rng.randrange(1, 29), rng.choice(["Jan", "Feb", "Mar", "Apr", "May", "Jun"])
        clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
        identity = quoted(f"<{rng.randrange(1 << 60):x}@mail.example.test>")
        reply = quoted(f"<{rng.randrange(1 << 60):x}@x.test>") if rng.random() < 0.5 else "NIL"
        envelope = (
            f'("Mon, {day} {month} 2026 {clock} +0200" {shown} ({sender}) ({sender}) ({sender}) '
            f"({receivers}) {copies} NIL {reply} {identity})"
        )
        structure, media_type = body_structure(rng)
        line = (
            f"* {number} FETCH (UID {uid} FLAGS ({' '.join(flags)}) INTERNALDATE "
            f'"{day:02}-{month}-2026 {clock} +0200" RFC822.SIZE {size} '
            f"ENVELOPE {envelope} BODYSTRUCTURE {structure})\r\n"
        )
        lines.append(line.encode())
        mailbox = sender.split(" NIL ")[-1].split('"')[1]
        said.append((number, uid, size, tuple(flags), subject, mailbox, media_type))
    return lines, said


def flags_responses(count: int) -> tuple[list[bytes], list[tuple[object, ...]]]:
    """Untagged FETCH responses with UID and FLAGS only: (sequence number, uid, flags)."""
    rng = chance("flags")
    lines: list[bytes] = []
    said: list[tuple[object, ...]] = []
    for number in range(1, count + 1):
        flags = sorted(rng.sample(FLAGS, rng.randrange(4)))
        uid = number * 3 + 1000
        lines.append(f"* {number} FETCH (UID {uid} FLAGS ({' '.join(flags)}))\r\n".encode())
        said.append((number, uid, tuple(flags)))
    return lines, said


def commands(count: int) -> tuple[list[bytes], list[str]]:
    """What a busy client sends in the selected state, whole commands, and their names."""
    rng = chance("commands")
    fetch = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE"
    fields = "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES)]"

    def one() -> tuple[str, str]:
        first, second = sorted(rng.sample(range(1, 100_000), 2))
        word = quoted(rng.choice(WORDS))
        body = "\r\n".join(" ".join(rng.choices(WORDS, k=8)) for _ in range(5))
        return rng.choice(
            [
                ("UID FETCH", f"{first}:* (FLAGS)"),
                ("UID FETCH", f"{first}:{second} (UID FLAGS {fields})"),
                ("UID FETCH", f"{first} BODY.PEEK[1.2]<0.65536>"),
                ("FETCH", f"{first}:{second} ({fetch})"),
                ("UID STORE", f"{first},{second}:{second + 9} +FLAGS.SILENT (\\Seen $Junk)"),
                ("UID SEARCH", f"UNSEEN SINCE 1-Jun-2026 FROM {word} NOT DELETED"),
                ("SEARCH", f"OR SUBJECT {word} (TEXT {word} LARGER 4096) UID {first}:*"),
                ("UID COPY", f'{first}:{second} "Archive/2026"'),
                ("STATUS", '"Archive/2026" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)'),
                ("LIST", '"" "*"'),
                ("NOOP", ""),
                ("APPEND", f"Sent (\\Seen) {{{len(body)}+}}\r\n{body}"),
            ]
        )

    lines: list[bytes] = []
    names: list[str] = []
    for number in range(count):
        name, arguments = one()
        lines.append(f"A{number:05} {name} {arguments}".rstrip().encode() + b"\r\n")
        names.append(name)
    return lines, names


# ------------------------------------------------------------------------------- POP3


def scan_listings(count: int) -> list[tuple[int, int]]:
    """Message numbers and sizes."""
    rng = chance("list")
    return [(message, rng.randrange(500, 5_000_000)) for message in range(1, count + 1)]


def unique_id_listings(count: int) -> list[tuple[int, str]]:
    """Message numbers and unique-ids of 16 characters."""
    rng = chance("uidl")
    return [(message, f"{rng.randrange(1 << 64):016x}") for message in range(1, count + 1)]
