"""Strategies for every value of SMTP that can go over the wire, and for hostile wire text."""

from __future__ import annotations

import datetime
import string

from hypothesis import strategies as st

from mailproto import smtp
from mailproto.smtp.xtext import to_xtext

__all__ = [
    "address_literals",
    "command_lines",
    "commands",
    "contents",
    "domains",
    "enhanced_codes",
    "mail_parameters",
    "mailboxes",
    "mails",
    "rcpt_parameters",
    "rcpts",
    "replies",
    "reply_lines",
]

_ALNUM = string.ascii_letters + string.digits
_ATEXT = _ALNUM + "!#$%&'*+/=?^_`{|}~-"
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_TEXT = st.characters(exclude_categories=["Cs", "Cc"])

_labels = st.text(_ALNUM + "-", min_size=1, max_size=12).filter(
    lambda label: not label.startswith("-") and not label.endswith("-")
)

domains: st.SearchStrategy[str] = st.lists(_labels, min_size=1, max_size=4).map(".".join)
"""Domains in ASCII (RFC 5321 section 4.1.2)."""

address_literals: st.SearchStrategy[str] = st.one_of(
    st.ip_addresses(v=4).map(lambda address: f"[{address}]"),
    st.ip_addresses(v=6).map(lambda address: f"[IPv6:{address}]"),
    st.text(_ALNUM, min_size=1, max_size=6).map(lambda text: f"[x-tag:{text}]"),
)
"""Address literals (RFC 5321 section 4.1.3)."""


def mailboxes(*, utf8: bool = False) -> st.SearchStrategy[smtp.Mailbox]:
    """Mailboxes, those that need quotes included; with ``utf8`` also such that need SMTPUTF8."""
    local_parts = st.one_of(
        st.text(_ATEXT, min_size=1, max_size=64),
        st.lists(st.text(_ATEXT, min_size=1, max_size=10), min_size=1, max_size=4).map(".".join),
        st.text(_PRINTABLE, max_size=40),
        *([st.text(_TEXT, min_size=1, max_size=16)] if utf8 else []),
    )
    hosts = st.one_of(
        domains,
        address_literals,
        *([st.sampled_from(["bücher.example", "例え.テスト", "ü"])] if utf8 else []),
    )
    return st.builds(smtp.Mailbox, local_parts, hosts)


_keywords = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=8).map(
    lambda text: "X-" + text
)
_values = st.none() | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="="),
    min_size=1,
    max_size=20,
)
_seconds = st.integers(1, 999_999_999)
_times = st.datetimes(timezones=st.just(datetime.UTC)).filter(lambda time: time.year > 1)
_words = st.text(_ALNUM + ":._-", max_size=8).map(lambda text: "a" + text)
_tokens = st.lists(st.text(_ALNUM + "!#$%&'*+^_`{|}~-", min_size=1, max_size=8), min_size=1).map(
    ".".join
)
_envelope_ids = st.text(_PRINTABLE, min_size=1, max_size=100).filter(
    lambda text: len(to_xtext(text)) <= 100
)

mail_parameters: st.SearchStrategy[smtp.MailParameter] = st.one_of(
    st.builds(smtp.Ret, st.sampled_from(["FULL", "HDRS"])),
    st.builds(smtp.EnvId, _envelope_ids),
    st.builds(smtp.DeliverBy, _seconds, st.just("R"), st.booleans()),
    st.builds(smtp.DeliverBy, st.integers(-999_999_999, 999_999_999), st.just("N"), st.booleans()),
    st.builds(smtp.HoldFor, _seconds),
    st.builds(smtp.HoldUntil, _times),
    st.builds(smtp.MtPriority, st.integers(-9, 9)),
    st.just(smtp.RequireTLS()),
    st.builds(smtp.Solicit, st.lists(_words, min_size=1, max_size=4).map(tuple)),
    st.builds(smtp.Mtrk, st.binary(min_size=1, max_size=40), st.none() | st.integers(0, 10**9 - 1)),
    st.tuples(_tokens, _tokens)
    .map("@".join)
    .filter(lambda text: len(text) <= 78)
    .map(smtp.TransId),
    st.just(smtp.Conperm()),
)
"""Parameters that RFCs give to MAIL; ``Mtrk`` needs an ``EnvId`` beside it."""

rcpt_parameters: st.SearchStrategy[smtp.RcptParameter] = st.one_of(
    st.builds(smtp.Notify, st.frozensets(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]))),
    st.builds(smtp.Orcpt, st.sampled_from(["rfc822", "x400"]), st.text(_PRINTABLE, max_size=40)),
    st.builds(smtp.Orcpt, st.just("utf-8"), st.text(_TEXT, max_size=40)),
    st.builds(
        smtp.Rrvs,
        _times.map(lambda time: time.replace(microsecond=0)),
        st.sampled_from([None, "C", "R"]),
    ),
    st.just(smtp.Conneg()),
)
"""Parameters that RFCs give to RCPT."""

_others = st.builds(smtp.Parameter, _keywords, _values)


def _can_be_together(parameters: list[smtp.MailParameter]) -> bool:
    kinds = {type(parameter) for parameter in parameters}
    return not (
        {smtp.HoldFor, smtp.HoldUntil} <= kinds or (smtp.Mtrk in kinds and smtp.EnvId not in kinds)
    )


_null_path: st.SearchStrategy[smtp.ReversePath] = st.just(smtp.NULL_PATH)
_postmaster: st.SearchStrategy[smtp.ForwardPath] = st.just(smtp.POSTMASTER)


@st.composite
def mails(draw: st.DrawFn, *, known: bool = False) -> smtp.Mail:
    """MAIL with any of its fields; with ``known`` also the parameters that RFCs give to it."""
    utf8 = draw(st.booleans())
    parameters = st.lists(
        _others | mail_parameters if known else _others, max_size=3, unique_by=lambda p: p.keyword
    )
    return smtp.Mail(
        draw(_null_path | mailboxes(utf8=utf8)),
        draw(st.none() | st.integers(0, 2**40)),
        draw(st.none() | st.sampled_from(smtp.BodyType)),
        utf8,
        draw(st.none() | _null_path | mailboxes()),
        tuple(draw(parameters.filter(_can_be_together))),
    )


def rcpts(*, utf8: bool = False, known: bool = False) -> st.SearchStrategy[smtp.Rcpt]:
    """RCPT; with ``known`` also the parameters that RFCs give to it."""
    parameters = st.lists(
        _others | rcpt_parameters if known else _others, max_size=3, unique_by=lambda p: p.keyword
    )
    return st.builds(smtp.Rcpt, _postmaster | mailboxes(utf8=utf8), parameters.map(tuple))


_arguments = st.text(_TEXT, max_size=40).map(lambda text: text.strip(" "))
_ascii_arguments = st.text(_PRINTABLE, max_size=40).map(lambda text: text.strip(" "))
_queries = _ascii_arguments.filter(lambda text: text and not text.upper().endswith("SMTPUTF8"))


def _attributes(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    names = st.sampled_from(["NAME", "ADDR", "PORT", "PROTO", "HELO"])
    return st.dictionaries(names, values, min_size=1).map(lambda found: tuple(found.items()))


_qualified = st.lists(_labels, min_size=2, max_size=4).map(".".join)
_urls = st.one_of(
    st.builds("imap://{}@{}/;uid={};urlauth=submit+{}:internal:{}".format,
              *[st.text(_ALNUM, min_size=1, max_size=8)] * 5),
    st.text(_ALNUM + "-._~:/?@!$&'()*+,;=[]", min_size=1, max_size=40).map("x+y:".__add__),
)  # fmt: skip
_mechanisms = st.text(string.ascii_uppercase + string.digits + "-_", min_size=1, max_size=20)

commands: st.SearchStrategy[smtp.Command] = st.one_of(
    st.builds(smtp.Ehlo, domains | address_literals),
    st.builds(smtp.Helo, domains | address_literals),
    st.builds(smtp.Lhlo, domains | address_literals),
    st.just(smtp.StartTLS()),
    st.builds(smtp.Auth, _mechanisms, st.none() | st.binary(max_size=60)),
    mails(known=True),
    rcpts(utf8=True, known=True),
    st.just(smtp.Data()),
    st.builds(smtp.Bdat, st.integers(0, 2**63 - 1), st.booleans()),
    st.just(smtp.Rset()),
    st.builds(smtp.Noop, _arguments),
    st.builds(smtp.Vrfy, _queries, st.booleans()),
    st.builds(smtp.Expn, _queries, st.booleans()),
    st.builds(smtp.Help, _arguments),
    st.just(smtp.Quit()),
    st.builds(smtp.Etrn, _qualified, st.sampled_from(["", "@"])),
    st.builds(smtp.Etrn, st.text(_ATEXT + "@[]<>,;:", min_size=1, max_size=20), st.just("#")),
    st.builds(smtp.Atrn, st.lists(_qualified, max_size=3).map(tuple)),
    st.builds(smtp.Burl, _urls, st.booleans()),
    st.builds(smtp.XClient, _attributes(st.text(_TEXT, min_size=1, max_size=6))),
    st.builds(smtp.XForward, _attributes(st.text(_ALNUM + ".-_[]:+=", min_size=1, max_size=9))),
    st.builds(smtp.OtherCommand, _keywords, _arguments),
)
"""Every command that is a line, in the spelling that a parser gives back."""

enhanced_codes: st.SearchStrategy[smtp.EnhancedCode] = st.builds(
    smtp.EnhancedCode, st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999)
)
"""Enhanced status codes (RFC 3463)."""

reply_lines: st.SearchStrategy[str] = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60
).filter(lambda text: text[:2] not in ("2.", "4.", "5."))
"""Text of one line of a reply."""


@st.composite
def replies(draw: st.DrawFn) -> smtp.Reply:
    """Replies, of several lines too, with an enhanced code or without."""
    enhanced = draw(st.none() | enhanced_codes)
    code = draw(st.integers(200, 599))
    if enhanced is not None:
        code = enhanced.status * 100 + code % 100
    lines = draw(st.lists(reply_lines, min_size=1, max_size=4))
    return smtp.Reply(code, tuple(lines), enhanced)


contents: st.SearchStrategy[bytes] = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b".", b"\r\n.", b"..", b"\r\n.\r\n", b"MAIL FROM:<a@b>"]),
        st.text(_PRINTABLE, max_size=20).map(str.encode),
        st.sampled_from([b"\xc3\xa4", b"\xff", b"\x00"]),
    ),
    max_size=12,
).map(b"".join)
"""Contents in which every CR and LF is part of a CRLF."""

command_lines: st.SearchStrategy[bytes] = st.one_of(
    st.sampled_from(
        [
            b"EHLO client.example", b"HELO x", b"LHLO x", b"MAIL FROM:<a@b.example>",
            b"mail from:<a@b.example> SIZE=10", b"RCPT TO:<c@d.example>", b"RCPT TO:<Postmaster>",
            b"DATA", b"RSET", b"NOOP", b"QUIT", b"HELP", b"VRFY x", b"EXPN x", b"STARTTLS",
            b"AUTH PLAIN", b"AUTH PLAIN AGEAYg==", b"AUTH X", b"*", b"=", b"AGEAYg==", b".", b"..",
            b"", b" ", b"MAIL FROM:<>", b"RCPT TO:<>", b"MAIL FROM:<a@b> SIZE=x",
            b"ETRN @a.b", b"ATRN a.b,c.d", b"BURL imap://a/ LAST", b"BDAT 3 LAST",
            b"BDAT 2", b"BDAT 0 LAST", b"BDAT", b"BDAT 01 last",
            b"MAIL FROM:<\xc3\xa4@b> SMTPUTF8", b"NOOP\r", b"NOOP\n", b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/1.1", b"XFOO bar", b"AUTH PLAIN AGEAYg", b"RCPT TO:<a@b> NOTIFY=NEVER",
        ]
    ),
    st.binary(max_size=30),
)  # fmt: skip
"""Lines a client may send, sensible and not; without their CRLF."""
