"""The fuzz target for ``mailproto.message``: any octets are a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailproto import message
from mailproto.testing.chop import octets, random_cuts
from mailproto.testing.fuzz.case import Case
from mailproto.testing.fuzz.conversation import Violation, whole
from mailproto.testing.fuzz.flood import check_linear

__all__ = ["indexer"]


def indexer(data: bytes) -> None:
    """``message.Indexer`` and all that reads by its index: nothing raises, offsets fit.

    The message is everything the peer of the case sends; options make the limits small.
    """
    case = Case.parse(data)
    content = case.data
    limits = None
    if case.option(0):
        limits = message.IndexLimits(header=64, headers=200, parts=5, depth=2, boundary=8)
    found = _index(whole(content), limits)
    for chunks in (octets(content), random_cuts(content, case.cut)):
        if (other := _index(chunks, limits)) != found:
            raise Violation(f"P01: the index depends on chunks:\n  {found!r}\n  {other!r}")
    if found.root.start != 0 or not found.root.end == found.size == len(content):
        raise Violation(f"{len(content)} octets have the index {found!r}")
    if found.lines != content.count(b"\n"):
        raise Violation(f"{found.lines} lines, not {content.count(bytes([10]))}")
    for part in _parts(found.root):
        _check_part(part, content)
    _read(found, content, case)
    if case.flood and content:
        check_linear(lambda size: _index(_pieces(content, size), limits))


def _index(chunks: Iterable[bytes], limits: message.IndexLimits | None) -> message.Index:
    made = message.Indexer(limits)
    for chunk in chunks:
        made.feed(chunk)
    return made.close()


def _pieces(content: bytes, size: int) -> Iterator[bytes]:
    for _ in range(0, size, len(content)):
        yield content


def _parts(root: message.Part) -> Iterator[message.Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.parts
        if part.message is not None:
            waiting.append(part.message)


def _check_part(part: message.Part, content: bytes) -> None:
    """Offsets ascend, children lie inside in order, fields lie in their header."""
    header = part.header
    at = header.start
    for offset in (header.blank, header.end, part.body, part.end):
        if offset < at:
            raise Violation(f"offsets that do not ascend: {part!r}")
        at = offset
    at = part.body
    for child in (*part.parts, *([] if part.message is None else [part.message])):
        if child.start < at or child.end > part.end:
            raise Violation(f"{child!r} lies outside of {part!r}")
        at = child.end
    if part.lines != content.count(b"\n", part.body, part.end):
        raise Violation(f"the lines of {part!r} are wrong")
    at = header.start
    for field in header.fields:
        if not at <= field.start < field.end <= header.blank:
            raise Violation(f"{field!r} lies outside of {header!r}")
        if not content.startswith(field.name, field.start):
            raise Violation(f"{field!r} is not at its place")
        at = field.end


def _read(found: message.Index, content: bytes, case: Case) -> None:
    """Everything that can be asked of a message; what it says is for other tests to judge."""
    for part in _parts(found.root):
        message.envelope(part.header)
        message.sent_date(part.header)
        message.header_contains(part.header, b"subject", "x")
        _ = (part.disposition, part.languages, part.location, part.md5, part.id, part.description)
        part.content_type.parameter("charset")
        for field in part.header.fields:
            message.decode_words(field.value)
            message.parse_date(field.value)
            message.parse_addresses(field.value)
        text = message.TextDecoder(part)
        body = content[part.body : part.end]
        one = text.feed(body) + text.close()
        text = message.TextDecoder(part)
        other = "".join([text.feed(chunk) for chunk in random_cuts(body, case.cut)]) + text.close()
        if one != other:
            raise Violation(f"P01: the text depends on chunks:\n  {one!r}\n  {other!r}")
    for numbers in ((), (1,), (1, 1), (2,), (1, 2)):
        for kind in message.SectionText:
            chosen = message.section(found, numbers, kind, [b"subject", b"to"])
            if chosen is None:
                continue
            octets_of = chosen.of(content)
            if len(octets_of) != chosen.size or chosen.partial(1, 3).of(content) != octets_of[1:4]:
                raise Violation(f"{chosen!r} of section {numbers} {kind} does not fit")
