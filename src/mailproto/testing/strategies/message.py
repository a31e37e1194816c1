"""Strategies for raw messages: MIME trees of any shape, plain and with the faults of real mail."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["addresses", "fields", "hostile", "messages"]

_WORDS = st.sampled_from(
    [
        b"Hello",
        b"world",
        b"=?utf-8?q?caf=C3=A9?=",
        b"=?iso-8859-1?B?4Q==?=",
        b"a:b",
        b"\xc3\xa9",
        b"x" * 70,
    ]
)

_texts = st.lists(_WORDS, min_size=1, max_size=4).map(b" ".join)

fields: st.SearchStrategy[tuple[bytes, bytes]] = st.tuples(
    st.sampled_from([b"Subject", b"subject", b"X-Loop", b"Received", b"Comments", b"List-Id"]),
    st.lists(_texts, min_size=1, max_size=3).map(b"\n\t".join),
)
"""Header fields as name and body, folded with LF; ``messages`` makes the line ends alike."""

_atoms = st.sampled_from([b"ada", b"bob", b"x-1", b"o'neil", b"\xc3\xa9va"])
_domains = st.sampled_from([b"example.org", b"[192.0.2.1]", b"a.b.example"])
_specs = st.tuples(_atoms, _domains).map(b"@".join)
_mailboxes = st.one_of(
    _specs,
    st.tuples(
        st.sampled_from(
            [b"", b"Ada L.", b'"L., Ada"', b'"a\\"b"', b"=?utf-8?q?=C3=A9?=", b"(c) X"]
        ),
        _specs,
    ).map(lambda pair: b"%s <%s>" % pair),
    _specs.map(lambda spec: spec + b" (Ada (the first))"),
)

addresses: st.SearchStrategy[bytes] = st.lists(
    st.one_of(
        _mailboxes,
        st.tuples(_atoms, st.lists(_mailboxes, max_size=3)).map(
            lambda group: group[0] + b": " + b", ".join(group[1]) + b";"
        ),
    ),
    min_size=1,
    max_size=4,
).map(b", ".join)
"""Address lists with names, comments, groups and 8-bit text."""

_lines = st.lists(
    st.sampled_from(
        [
            b"",
            b"text",
            b"--",
            b"-- ",
            b"--b",
            b"---",
            b".",
            b"From ada",
            b"a: b",
            b" x",
            b"\xff\x00",
            b"y" * 90,
        ]
    ),
    max_size=6,
)

_typed = st.sampled_from(
    [
        b"Content-Type: text/plain; charset=utf-8\n",
        b"Content-Type: TEXT/HTML;\n charset=ISO-8859-1\nContent-Transfer-Encoding: 8bit\n",
        b'content-type: image/png; name="a \\"b\\".png"\nContent-ID: <1@x>\n',
        b"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=a\n",
        b"Content-Type:\n",
        b"Content-Type: text\n",
    ]
)
_leaf_types = st.just(b"") | _typed


@st.composite
def messages(draw: st.DrawFn, line_end: bytes = b"\r\n") -> bytes:
    """Well-formed MIME messages, every multipart with a boundary of its own."""
    boundaries = iter(range(1, 1000))

    def header() -> bytes:
        each = draw(st.lists(fields, max_size=3))
        return b"".join(b"%s: %s\n" % field for field in each)

    def entity(depth: int, *, in_digest: bool = False) -> bytes:
        kind = draw(st.sampled_from(["leaf", "leaf", "multipart", "message"])) if depth else "leaf"
        if kind == "message":
            untyped = in_digest and draw(st.booleans())
            field = b"" if untyped else b"Content-Type: message/rfc822\n"
            return header() + field + b"\n" + entity(depth - 1)
        if kind == "leaf":
            field = draw(_typed if in_digest else _leaf_types)
            return header() + field + b"\n" + b"\n".join(draw(_lines))
        boundary = draw(st.sampled_from([b"=_%d=", b"%d'()+_,-./:=?", b"a b%d."])) % next(
            boundaries
        )
        subtype = draw(st.sampled_from([b"mixed", b"alternative", b"DIGEST", b"x-new"]))
        digest = subtype == b"DIGEST"
        count = draw(st.integers(1, 3))
        parts = [entity(depth - 1, in_digest=digest) for _ in range(count)]
        return b"".join(
            [
                header(),
                b'Content-Type: multipart/%s; boundary="%s"\n\n' % (subtype, boundary),
                draw(st.sampled_from([b"", b"preamble\n", b"\n\n", b"-- \n"])),
                *(b"--%s%s\n%s\n" % (boundary, draw(_padding), part) for part in parts),
                b"--%s--%s" % (boundary, draw(_padding)),
                draw(st.sampled_from([b"", b"\n", b"\nepilogue", b"\n\n--\n"])),
            ]
        )

    return entity(draw(st.integers(0, 4))).replace(b"\n", line_end)


_padding = st.sampled_from([b"", b"", b" ", b" \t"])

hostile: st.SearchStrategy[bytes] = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b"Content-Type: multipart/digest; boundary=bb\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Type: multipart/x; boundary=\r\n",
            b"Subject: x\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"--b\r\n",
            b"--b--\r\n",
            b"--bb\n",
            b"--bb--",
            b"--b",
            b"-",
            b"junk\r\n",
            b" \r\n",
            b"From ada\n",
            b":",
            b"\x00\xff",
            b"=?utf-8?b?",
            b"a" * 1200,
        ]
    ),
    max_size=30,
).map(b"".join)
"""Pieces of MIME in any order: faults of every kind, none of them fatal."""
