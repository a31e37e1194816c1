"""IMAPClient's parser of FETCH responses, given frames as imaplib makes them: framing is free."""

from __future__ import annotations

import re
from importlib.metadata import version

from imapclient.response_parser import parse_fetch_response
from registry import Prepared

VERSION = version("IMAPClient")
LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")


def frames(responses):
    """Lines without `* ` and CRLF; a line with a literal is a tuple, and then the rest."""
    for response in responses:
        text = response[2:-2].replace(b" FETCH", b"", 1)
        while (found := LITERAL.search(text)) is not None:
            end = found.end() + int(found[1])
            yield text[: found.end() - 2], text[found.end() : end]
            text = text[end:]
        yield text


def imap_client(given):
    prepared = list(frames(given))

    def run():
        return parse_fetch_response(prepared)

    return Prepared(run, read)


def read(result):
    told = []
    for uid, item in result.items():
        entry = [item[b"SEQ"], uid]
        flags = tuple(sorted(flag.decode() for flag in item[b"FLAGS"]))
        if b"ENVELOPE" in item:
            envelope, body = item[b"ENVELOPE"], item[b"BODYSTRUCTURE"]
            media = b"multipart/" + body[1] if body.is_multipart else body[0] + b"/" + body[1]
            subject, sender = envelope.subject.decode(), envelope.from_[0].mailbox.decode()
            entry += [item[b"RFC822.SIZE"], flags, subject, sender, media.decode()]
        else:
            entry += [flags]
        told.append(tuple(entry))
    return told
