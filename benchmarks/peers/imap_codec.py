"""imap-codec (Rust) to dictionaries, one response at a time: framing is free."""

from __future__ import annotations

from importlib.metadata import version

from imap_codec import ResponseCodec
from registry import Prepared

VERSION = version("imap-codec")


def imap_client(given):
    decode = ResponseCodec.decode

    def run():
        return [decode(response)[1].as_dict() for response in given]

    return Prepared(run, read)


def text(value):
    """A string of its dictionaries: {"Quoted": "x"} or {"Literal": {"data": [120]}}."""
    kind, inner = next(iter(value.items()))
    return inner if kind == "Quoted" else bytes(inner["data"]).decode()


def flag(value):
    """{"Flag": "Seen"} or {"Flag": {"Keyword": "x"}}."""
    name = value["Flag"]
    return name["Keyword"] if isinstance(name, dict) else f"\\{name}"


def media_type(body):
    if "Multi" in body:
        return "multipart/" + text(body["Multi"]["subtype"])
    kind, specific = next(iter(body["Single"]["body"]["specific"].items()))
    return f"{kind.lower()}/{text(specific['subtype'])}"


def read(result):
    told = []
    for response in result:
        fetch = response["Data"]["Fetch"]
        items = {name: value for item in fetch["items"] for name, value in item.items()}
        flags = tuple(sorted(map(flag, items["Flags"])))
        entry = [fetch["seq"], items["Uid"]]
        if "Envelope" in items:
            envelope = items["Envelope"]
            entry += [items["Rfc822Size"], flags, text(envelope["subject"])]
            entry += [text(envelope["from"][0]["mailbox"]), media_type(items["BodyStructure"])]
        else:
            entry += [flags]
        told.append(tuple(entry))
    return told
