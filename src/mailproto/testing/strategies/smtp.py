"""Strategies for every value of SMTP that can go over the wire, and for hostile wire text."""

from __future__ import annotations

import datetime
import string
from collections.abc import Mapping

from hypothesis import strategies as st

from mailproto import smtp
from mailproto.smtp.xtext import to_xtext

__all__ = [
    "address_literals",
    "command_lines",
    "commands",
    "contents",
    "domains",
    "each_command",
    "each_mail_parameter",
    "each_rcpt_parameter",
    "enhanced_codes",
    "mail_parameters",
    "mailboxes",
    "mails",
    "offers",
    "other_parameters",
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

each_mail_parameter: Mapping[type, st.SearchStrategy[smtp.MailParameter]] = {
    smtp.Ret: st.builds(smtp.Ret, st.sampled_from(["FULL", "HDRS"])),
    smtp.EnvId: st.builds(smtp.EnvId, _envelope_ids),
    smtp.DeliverBy: st.one_of(
        st.builds(smtp.DeliverBy, _seconds, st.just("R"), st.booleans()),
        st.builds(
            smtp.DeliverBy, st.integers(-999_999_999, 999_999_999), st.just("N"), st.booleans()
        ),
    ),
    smtp.HoldFor: st.builds(smtp.HoldFor, _seconds),
    smtp.HoldUntil: st.builds(smtp.HoldUntil, _times),
    smtp.MtPriority: st.builds(smtp.MtPriority, st.integers(-9, 9)),
    smtp.RequireTLS: st.just(smtp.RequireTLS()),
    smtp.Solicit: st.builds(smtp.Solicit, st.lists(_words, min_size=1, max_size=4).map(tuple)),
    smtp.Mtrk: st.builds(
        smtp.Mtrk, st.binary(min_size=1, max_size=40), st.none() | st.integers(0, 10**9 - 1)
    ),
    smtp.TransId: st.tuples(_tokens, _tokens)
    .map("@".join)
    .filter(lambda text: len(text) <= 78)
    .map(smtp.TransId),
    smtp.Conperm: st.just(smtp.Conperm()),
}
"""For each class of the parameters of MAIL; ``Mtrk`` needs an ``EnvId`` beside it."""

each_rcpt_parameter: Mapping[type, st.SearchStrategy[smtp.RcptParameter]] = {
    smtp.Notify: st.builds(
        smtp.Notify, st.frozensets(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]))
    ),
    smtp.Orcpt: st.one_of(
        st.builds(
            smtp.Orcpt, st.sampled_from(["rfc822", "x400"]), st.text(_PRINTABLE, max_size=40)
        ),
        st.builds(smtp.Orcpt, st.just("utf-8"), st.text(_TEXT, max_size=40)),
    ),
    smtp.Rrvs: st.builds(
        smtp.Rrvs,
        _times.map(lambda time: time.replace(microsecond=0)),
        st.sampled_from([None, "C", "R"]),
    ),
    smtp.Conneg: st.just(smtp.Conneg()),
}
"""For each class of the parameters of RCPT."""

mail_parameters: st.SearchStrategy[smtp.MailParameter] = st.one_of(*each_mail_parameter.values())
"""Parameters that RFCs give to MAIL."""

rcpt_parameters: st.SearchStrategy[smtp.RcptParameter] = st.one_of(*each_rcpt_parameter.values())
"""Parameters that RFCs give to RCPT."""

other_parameters: st.SearchStrategy[smtp.Parameter] = st.builds(smtp.Parameter, _keywords, _values)
"""Parameters of private extensions."""


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
        other_parameters | mail_parameters if known else other_parameters,
        max_size=3,
        unique_by=lambda p: p.keyword,
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
        other_parameters | rcpt_parameters if known else other_parameters,
        max_size=3,
        unique_by=lambda p: p.keyword,
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

each_command: Mapping[type, st.SearchStrategy[smtp.Command]] = {
    smtp.Ehlo: st.builds(smtp.Ehlo, domains | address_literals),
    smtp.Helo: st.builds(smtp.Helo, domains | address_literals),
    smtp.Lhlo: st.builds(smtp.Lhlo, domains | address_literals),
    smtp.StartTLS: st.just(smtp.StartTLS()),
    smtp.Auth: st.builds(smtp.Auth, _mechanisms, st.none() | st.binary(max_size=60)),
    smtp.Mail: mails(known=True),
    smtp.Rcpt: rcpts(utf8=True, known=True),
    smtp.Data: st.just(smtp.Data()),
    smtp.Bdat: st.builds(smtp.Bdat, st.integers(0, 2**63 - 1), st.booleans()),
    smtp.Rset: st.just(smtp.Rset()),
    smtp.Noop: st.builds(smtp.Noop, _arguments),
    smtp.Vrfy: st.builds(smtp.Vrfy, _queries, st.booleans()),
    smtp.Expn: st.builds(smtp.Expn, _queries, st.booleans()),
    smtp.Help: st.builds(smtp.Help, _arguments),
    smtp.Quit: st.just(smtp.Quit()),
    smtp.Etrn: st.one_of(
        st.builds(smtp.Etrn, _qualified, st.sampled_from(["", "@"])),
        st.builds(smtp.Etrn, st.text(_ATEXT + "@[]<>,;:", min_size=1, max_size=20), st.just("#")),
    ),
    smtp.Atrn: st.builds(smtp.Atrn, st.lists(_qualified, max_size=3).map(tuple)),
    smtp.Burl: st.builds(smtp.Burl, _urls, st.booleans()),
    smtp.XClient: st.builds(smtp.XClient, _attributes(st.text(_TEXT, min_size=1, max_size=6))),
    smtp.XForward: st.builds(
        smtp.XForward, _attributes(st.text(_ALNUM + ".-_[]:+=", min_size=1, max_size=9))
    ),
    smtp.OtherCommand: st.builds(smtp.OtherCommand, _keywords, _arguments),
}
"""For each class of a command that is a line, in the spelling that a parser gives back."""

commands: st.SearchStrategy[smtp.Command] = st.one_of(*each_command.values())
"""Every command that is a line."""

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


_numbers = st.none() | st.integers(0, 999_999_999)
_mechanism_names = st.lists(_mechanisms, max_size=3, unique=True).map(tuple)
_extensions = st.lists(
    st.builds(
        smtp.Extension,
        _keywords,
        st.lists(_words.map(lambda word: word + "="), max_size=3).map(tuple),
    ),
    max_size=2,
    unique_by=lambda extension: extension.keyword,
).map(tuple)

offers: st.SearchStrategy[smtp.Offer] = st.builds(
    smtp.Offer,
    mechanisms=_mechanism_names,
    **dict.fromkeys(
        ("starttls", "insecure_auth", "smtputf8", "enhanced_codes", "advertise_limits",
         "forwarding", "dsn", "rrvs", "requiretls", "mtrk", "conperm", "conneg", "checkpoint",
         "etrn", "atrn", "expn"),
        st.booleans(),
    ),
    chunking=st.just(True),
    binarymime=st.booleans(),
    deliver_by=_numbers,
    future_release=st.none() | st.builds(smtp.FutureRelease, _seconds, _times),
    mt_priority=st.none() | st.sampled_from(["", "MIXER", "STANAG4406"]),
    no_soliciting=st.none() | st.lists(_words, max_size=3).map(tuple),
    burl=st.none() | st.sampled_from([(), ("imap",), ("imap", "imap://mail.example.com")]),
    extensions=_extensions,
)  # fmt: skip
"""What a server may offer."""

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
