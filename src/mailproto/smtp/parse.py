"""From lines to commands and from lines to replies. What is refused here is refused with a reason.

Nothing here knows the state of a session; the parameters that MAIL and RCPT may have are passed
in, because a server takes only those that it has offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from typing import Final, NoReturn

from mailproto._core import abnf, strict
from mailproto.errors import RemoteProtocolError
from mailproto.sasl import wire
from mailproto.smtp.address import (
    LOCAL_PART_LIMIT,
    NULL_PATH,
    PATH_LIMIT,
    POSTMASTER,
    AddressError,
    Mailbox,
    ReversePath,
    SpecialPath,
    scan_path,
)
from mailproto.smtp.commands import (
    Atrn,
    Auth,
    Bdat,
    BodyType,
    Burl,
    Command,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    OtherCommand,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    Vrfy,
    XClient,
    XForward,
)
from mailproto.smtp.extensions import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    XCLIENT_ATTRIBUTES,
    XFORWARD_ATTRIBUTES,
)
from mailproto.smtp.parameter_values import parse_mail_parameter, parse_rcpt_parameter
from mailproto.smtp.parameters import (
    Conneg,
    Conperm,
    EnvId,
    HoldFor,
    HoldUntil,
    MailParameter,
    MtPriority,
    Mtrk,
    RcptParameter,
)
from mailproto.smtp.replies import EnhancedCode, Reply
from mailproto.smtp.url import is_absolute_uri
from mailproto.smtp.xtext import of_xtext

__all__ = ["USUAL", "Malformed", "parse_command", "parse_reply", "parse_reply_line", "usual_reply"]

SYNTAX_ERROR: Final = EnhancedCode(5, 5, 2)
BAD_ARGUMENTS: Final = EnhancedCode(5, 5, 4)
BAD_RECIPIENT: Final = EnhancedCode(5, 1, 3)
BAD_SENDER: Final = EnhancedCode(5, 1, 7)
NOT_ASCII: Final = EnhancedCode(5, 6, 7)

# Dot-string "@" Domain. What may end a part is never in it, so that nothing is tried twice.
_ATEXT: Final = abnf.ATEXT.decode()
_MAILBOX: Final = f"({_ATEXT}++(?:\\.{_ATEXT}++)*+)@([A-Za-z0-9]++(?:(?:-++|\\.)[A-Za-z0-9]++)*+)"
# The usual shape of a whole MAIL or RCPT: one match. Everything else goes to scan_path.
_MAIL: Final = re.compile(
    f"MAIL [Ff][Rr][Oo][Mm]: *<(?:{_MAILBOX})?>"
    "(?: SIZE=([0-9]{1,20}))?(?: BODY=(7BIT|8BITMIME))?(?: +(.*))?"
)
_RCPT: Final = re.compile(f"RCPT [Tt][Oo]: *<{_MAILBOX}>(?: +(.*))?")
# A line of no more characters has no local part, domain or path that is too long.
_SHORT: Final = LOCAL_PART_LIMIT + len("RCPT TO:<@d>")
_FROM: Final = re.compile("[Ff][Rr][Oo][Mm]: *")
_TO: Final = re.compile("[Tt][Oo]: *")

# esmtp-param (RFC 5321 section 4.1.2, RFC 6531 section 3.3)
_PARAMETER: Final = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=((?:[\x21-\x3c\x3e-\x7e]|[^\x00-\x7f])+))?"
)
# The padding of base64 is neither in an esmtp-value nor in RFC 3885, but some may send it.
_BASE64_PARAMETER: Final = re.compile(r"([Mm][Tt][Rr][Kk])=([\x21-\x7e]+)")
_VERB: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_DOMAIN: Final = re.compile(r"(?:[\x21-\x7e]|[^\x00-\x7f])+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# sasl-mech (RFC 4422 section 3.1)
_AUTH: Final = re.compile(r"([A-Za-z0-9_-]{1,20})(?: +([A-Za-z0-9+/]+=*|=))? *")

# A fully qualified domain name, for ETRN (RFC 1985 section 5) and ATRN (RFC 2645 section 5.2.1)
_QUALIFIED: Final = f"{abnf.SUB_DOMAIN.decode()}(?:\\.{abnf.SUB_DOMAIN.decode()})+"
ETRN_ARGUMENT: Final = re.compile(f"(@?)({_QUALIFIED})|(#)([\\x21-\\x7e]+)")
ATRN_ARGUMENT: Final = re.compile(f"{_QUALIFIED}(?:,{_QUALIFIED})*")
# burl-cmd (RFC 4468 section 3.5)
_BURL: Final = re.compile(r"([^ ]+)(?: +([Ll][Aa][Ss][Tt]))?")

# Decoded values: no controls, and for XFORWARD nothing that is special in header fields.
_XCLIENT_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_XFORWARD_VALUE: Final = re.compile(r'[^\x00-\x20"(),;<>@\\\x7f-\U0010ffff]{1,255}')

# bdat-cmd (RFC 3030 section 2)
_BDAT: Final = re.compile(r"([0-9]{1,20})(?: +([Ll][Aa][Ss][Tt]))?")

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n\x00]*))?")
_ENHANCED: Final = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: (.*))?", re.DOTALL)


class Malformed(Exception):
    """A line that is no command: what is wrong, and the reply that says so."""

    def __init__(self, problem: str, code: int, enhanced: EnhancedCode) -> None:
        super().__init__(problem)
        self.problem = problem
        self.reply: Reply = Reply(code, problem, enhanced)


def parse_command(
    line: bytes,
    mail_parameters: frozenset[str] = frozenset(MAIL_PARAMETERS),
    rcpt_parameters: frozenset[str] = frozenset(RCPT_PARAMETERS),
) -> Command:
    """The command on a line without its CRLF; a verb without a class gives OtherCommand.

    The sets are the parameters that are accepted, in upper case. Raises Malformed.
    """
    fixed = _FIXED.get(line)
    if fixed is not None:
        return fixed
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        code = _code_for(line.partition(b" ")[0].decode("latin-1"))
        problem = f"Octet at position {error.start} is not UTF-8"
        raise Malformed(problem, code, SYNTAX_ERROR) from None
    verb = text[:5]
    if verb == "RCPT ":
        return _rcpt(text, rcpt_parameters)
    if verb == "MAIL ":
        return _mail(text, mail_parameters)
    verb, _, argument = text.partition(" ")
    if verb.isascii():
        verb = verb.upper()
    if verb == "MAIL":
        return _mail(text, mail_parameters)
    if verb == "RCPT":
        return _rcpt(text, rcpt_parameters)
    control = _CONTROL.search(text)
    if control is not None:
        problem = f"Control character {control[0]!a} at position {control.start()}"
        raise Malformed(problem, _code_for(verb), SYNTAX_ERROR)
    parser = _PARSERS.get(verb)
    if parser is not None:
        return parser(verb, argument.strip(" "))
    if _VERB.fullmatch(verb) is None:
        raise Malformed("That is not a command", 500, SYNTAX_ERROR)
    return OtherCommand(verb, argument.strip(" "))


def _code_for(verb: str) -> int:
    """The code of what has octets that no command has: 501 in an argument (section 4.1.2)."""
    return 501 if verb.upper() in _PARSERS else 500


# ------------------------------------------------------------------------------ MAIL and RCPT


def _mail(text: str, accepted: frozenset[str]) -> Mail:
    path: Mailbox | SpecialPath
    match = _MAIL.fullmatch(text)
    if match is not None and (len(text) <= _SHORT or _short(match)):
        local_part, domain, size, body, rest = match.groups()
        sender: ReversePath = NULL_PATH if local_part is None else Mailbox(local_part, domain)
        if not rest and accepted >= _SIZE_AND_BODY:
            return Mail(sender, None if size is None else int(size), _BODIES.get(body))
        path, rest = sender, text[text.index(">") + 1 :]
    else:
        path, rest = _path(text[5:], _FROM, "FROM", BAD_SENDER)
    if path is POSTMASTER:
        raise Malformed("A reverse-path needs a domain", 501, BAD_SENDER)
    mail = _with_parameters(path, rest, accepted) if rest else Mail(path)
    if not (mail.smtputf8 or path is NULL_PATH or path.is_ascii):
        raise Malformed("Non-ASCII address without SMTPUTF8", 550, NOT_ASCII)
    return mail


def _rcpt(text: str, accepted: frozenset[str]) -> Rcpt:
    path: Mailbox | SpecialPath
    match = _RCPT.fullmatch(text)
    if match is not None and (len(text) <= _SHORT or _short(match)):
        local_part, domain, rest = match.groups()
        path = Mailbox(local_part, domain)
    else:
        path, rest = _path(text[5:], _TO, "TO", BAD_RECIPIENT)
    if path is NULL_PATH:
        raise Malformed("A forward-path cannot be empty", 501, BAD_RECIPIENT)
    if not rest:
        return Rcpt(path)
    found = _parameters(rest, "RCPT", accepted, MAIL_PARAMETERS)
    parameters: list[RcptParameter] = []
    for keyword, value in found.items():
        parameter = parse_rcpt_parameter(keyword, value)
        if parameter is None:
            _bad_value(keyword, value)
        parameters.append(parameter)
    return Rcpt(path, tuple(parameters))


def _short(match: re.Match[str]) -> bool:
    """Whether no limit of an address can be exceeded."""
    start, at = match.span(1)
    return at - start <= LOCAL_PART_LIMIT and match.end(2) - start + 2 <= PATH_LIMIT


def _path(
    argument: str, keyword: re.Pattern[str], name: str, enhanced: EnhancedCode
) -> tuple[Mailbox | SpecialPath, str | None]:
    match = keyword.match(argument)
    if match is None:
        raise Malformed(f'Expected "{name}:<address>"', 501, BAD_ARGUMENTS)
    try:
        path, end = scan_path(argument, match.end())
    except AddressError as error:
        problem = f"Bad address: {error.problem} at position {error.position - match.end()}"
        raise Malformed(problem, 501, enhanced) from None
    rest = argument[end:]
    if rest and not rest.startswith(" "):
        raise Malformed("Expected a space after the address", 501, BAD_ARGUMENTS)
    return path, rest


def _parameters(
    text: str, verb: str, accepted: frozenset[str], of_the_other: Mapping[str, str]
) -> dict[str, str | None]:
    """Keyword in upper case, and value."""
    found: dict[str, str | None] = {}
    for item in text.split(" "):
        if not item:
            continue
        match = _PARAMETER.fullmatch(item) or _BASE64_PARAMETER.fullmatch(item)
        if match is None:
            raise Malformed(f"Malformed parameter {_quoted(item)}", 501, BAD_ARGUMENTS)
        keyword = match[1].upper()
        if keyword in found:
            enhanced = _BAD_VALUE.get(keyword, BAD_ARGUMENTS)
            raise Malformed(f"{keyword} is given twice", 501, enhanced)
        if keyword not in accepted:
            other = "RCPT" if verb == "MAIL" else "MAIL"
            if keyword in of_the_other:
                problem, code = f"belongs to {other}", 555
            else:
                problem, code = "is not supported", _NOT_SUPPORTED.get(keyword, 555)
            raise Malformed(f"Parameter {_quoted(keyword)} {problem}", code, BAD_ARGUMENTS)
        found[keyword] = match[2]
    return found


def _with_parameters(path: ReversePath, text: str, accepted: frozenset[str]) -> Mail:
    found = _parameters(text, "MAIL", accepted, RCPT_PARAMETERS)
    size = body = auth = None
    if "SIZE" in found:
        value = found.pop("SIZE")
        size = strict.number((value or "").encode(), 10**20 - 1)
        if size is None:
            _bad_value("SIZE", value)
    if "BODY" in found:
        value = found.pop("BODY")
        body = _BODIES.get((value or "").upper())
        if body is None:
            _bad_value("BODY", value)
    smtputf8 = "SMTPUTF8" in found
    if smtputf8:
        value = found.pop("SMTPUTF8")
        if value is not None:
            _bad_value("SMTPUTF8", value)
    if "AUTH" in found:
        auth = _identity(found.pop("AUTH"))
    parameters: list[MailParameter] = []
    for keyword, value in found.items():
        parameter = parse_mail_parameter(keyword, value)
        if parameter is None:
            _bad_value(keyword, value)
        parameters.append(parameter)
    problem = conflict(found)
    if problem is not None:
        raise Malformed(problem, 501, BAD_ARGUMENTS)
    if not (smtputf8 or text.isascii()):
        raise Malformed("Non-ASCII parameter without SMTPUTF8", 501, NOT_ASCII)
    return Mail(path, size, body, smtputf8, auth, tuple(parameters))


def conflict(keywords: Container[str]) -> str | None:
    """Why MAIL cannot have parameters with all of these keywords."""
    if HoldFor.keyword in keywords and HoldUntil.keyword in keywords:
        return "HOLDFOR and HOLDUNTIL exclude each other"
    if Mtrk.keyword in keywords and EnvId.keyword not in keywords:
        return "MTRK needs ENVID (RFC 3885 section 3.2)"
    return None


def _identity(value: str | None) -> ReversePath:
    """The value of AUTH= (RFC 4954 section 8): a mailbox or ``<>``, in xtext."""
    decoded = None if value is None else of_xtext(value)
    if decoded is None:
        _bad_value("AUTH", value)
    if decoded == "<>":
        return NULL_PATH
    try:
        return Mailbox.parse(decoded)
    except AddressError:
        _bad_value("AUTH", value)


def _bad_value(keyword: str, value: str | None) -> NoReturn:
    shown = "no value" if value is None else _quoted(value)
    enhanced = _BAD_VALUE.get(keyword, BAD_ARGUMENTS)
    raise Malformed(f"{shown} is not valid for {keyword}", 501, enhanced)


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:37] + "...")


# ------------------------------------------------------------------------------- other verbs


def _domain(verb: str, argument: str) -> Command:
    # Clients say all sorts of things here, and RFC 5321 section 4.1.4 has them served.
    if _DOMAIN.fullmatch(argument) is None:
        raise Malformed(f"{verb} needs one domain", 501, BAD_ARGUMENTS)
    return _HELLOS[verb](argument)


def _bare(verb: str, argument: str) -> Command:
    if argument:
        raise Malformed(f"{verb} has no argument", 501, BAD_ARGUMENTS)
    return _BARE[verb]


def _text(verb: str, argument: str) -> Command:
    return Noop(argument) if verb == "NOOP" else Help(argument)


def _query(verb: str, argument: str) -> Command:
    text, _, parameter = argument.rpartition(" ")
    smtputf8 = bool(text) and parameter.upper() == "SMTPUTF8"
    if smtputf8:
        argument = text.rstrip(" ")
    if not argument:
        raise Malformed(f"{verb} needs an argument", 501, BAD_ARGUMENTS)
    if not (smtputf8 or argument.isascii()):
        raise Malformed("Non-ASCII argument without SMTPUTF8", 553, NOT_ASCII)
    return Vrfy(argument, smtputf8) if verb == "VRFY" else Expn(argument, smtputf8)


def _auth(_: str, argument: str) -> Command:
    match = _AUTH.fullmatch(argument)
    if match is None:
        raise Malformed("Expected a mechanism and base64", 501, BAD_ARGUMENTS)
    if match[2] is None:
        return Auth(match[1].upper())
    initial = wire.decode_initial_response(match[2].encode())
    if initial is wire.MALFORMED:
        raise Malformed("The initial response is not base64", 501, SYNTAX_ERROR)
    return Auth(match[1].upper(), initial)


def _bdat(_: str, argument: str) -> Command:
    match = _BDAT.fullmatch(argument)
    size = None if match is None else strict.number(match[1].encode(), strict.NUMBER_64)
    if match is None or size is None:
        raise Malformed("Expected a chunk size and perhaps LAST", 501, BAD_ARGUMENTS)
    return Bdat(size, match[2] is not None)


def _etrn(_: str, argument: str) -> Command:
    match = ETRN_ARGUMENT.fullmatch(argument)
    if match is None:
        raise Malformed("Expected the full domain name of a node", 501, BAD_ARGUMENTS)
    if match[3] is not None:
        return Etrn(match[4], "#")
    return Etrn(match[2], "@" if match[1] else "")


def _atrn(_: str, argument: str) -> Command:
    if argument and ATRN_ARGUMENT.fullmatch(argument) is None:
        raise Malformed("Expected full domain names with commas between them", 501, BAD_ARGUMENTS)
    return Atrn(tuple(argument.split(",")) if argument else ())


def _burl(_: str, argument: str) -> Command:
    match = _BURL.fullmatch(argument)
    if match is None or not is_absolute_uri(match[1]):
        raise Malformed("Expected an absolute URI and perhaps LAST", 501, BAD_ARGUMENTS)
    return Burl(match[1], match[2] is not None)


def may_be_attribute(verb: str, text: str) -> bool:
    """Whether XCLIENT or XFORWARD can have the decoded value; see Postfix's documents of them."""
    pattern = _XCLIENT_VALUE if verb == "XCLIENT" else _XFORWARD_VALUE
    return pattern.fullmatch(text) is not None


def _attributes(verb: str, argument: str) -> Command:
    known = XCLIENT_ATTRIBUTES if verb == "XCLIENT" else XFORWARD_ATTRIBUTES
    found: dict[str, str] = {}
    for item in argument.split():
        name, _, value = item.partition("=")
        text = of_xtext(value)
        name = name.upper()
        if not text or name not in known or name in found or not may_be_attribute(verb, text):
            raise Malformed(f"Malformed attribute {_quoted(item)}", 501, BAD_ARGUMENTS)
        found[name] = text
    if not found:
        raise Malformed(f"{verb} needs an attribute", 501, BAD_ARGUMENTS)
    attributes = tuple(found.items())
    return XClient(attributes) if verb == "XCLIENT" else XForward(attributes)


# RFC 6710 section 4.1
_BAD_VALUE: Final[Mapping[str, EnhancedCode]] = {MtPriority.keyword: SYNTAX_ERROR}
# RFC 4141 sections 4.2 and 5.2
_NOT_SUPPORTED: Final = dict.fromkeys([Conperm.keyword, Conneg.keyword], 504)
_SIZE_AND_BODY: Final = frozenset({"SIZE", "BODY"})
_BODIES: Final = {body.value: body for body in BodyType}
_HELLOS: Final[Mapping[str, Callable[[str], Command]]] = {"EHLO": Ehlo, "HELO": Helo, "LHLO": Lhlo}
_BARE: Final[Mapping[str, Command]] = {
    "DATA": Data(),
    "RSET": Rset(),
    "QUIT": Quit(),
    "STARTTLS": StartTLS(),
}
_FIXED: Final = {verb.encode(): command for verb, command in _BARE.items()}
_PARSERS: Final[Mapping[str, Callable[[str, str], Command] | None]] = {
    **dict.fromkeys(_HELLOS, _domain),
    **dict.fromkeys(_BARE, _bare),
    "NOOP": _text,
    "HELP": _text,
    "VRFY": _query,
    "EXPN": _query,
    "AUTH": _auth,
    "BDAT": _bdat,
    "BURL": _burl,
    "ETRN": _etrn,
    "ATRN": _atrn,
    "XCLIENT": _attributes,
    "XFORWARD": _attributes,
    "MAIL": None,
    "RCPT": None,
}

VERBS: Final = frozenset(_PARSERS)
"""The verbs that have a class."""


# ----------------------------------------------------------------------------------- replies


def parse_reply_line(line: bytes) -> tuple[int, bool, str]:
    """Code, whether more lines follow, and text. Raises RemoteProtocolError."""
    match = _REPLY_LINE.fullmatch(line)
    if match is None:
        shown = line if len(line) <= 64 else line[:61] + b"..."
        raise RemoteProtocolError(f"not a line of a reply: {shown!r}")
    code, separator, text = match.groups(b"")
    return int(code), separator == b"-", text.decode(errors="surrogateescape")


def parse_reply(code: int, lines: tuple[str, ...], *, enhanced: bool = True) -> Reply:
    """A reply of the text of its lines, the enhanced status code taken out of them.

    ``enhanced`` is false for greetings and the replies to EHLO, HELO and LHLO, whose text is
    never preceded by one (RFC 2034 section 4).
    """
    if not enhanced:
        return Reply(code, lines)
    first = str(code)[0]
    status: EnhancedCode | None = None
    texts: list[str] = []
    for line in lines:
        match = _ENHANCED.fullmatch(line) if line.startswith(first) else None
        if match is not None:
            found = EnhancedCode(int(match[1]), int(match[2]), int(match[3]))
            if status is None or found == status:
                status = found
                texts.append(match[4] or "")
                continue
        texts.append(line)
    return Reply(code, tuple(texts), status)


USUAL: Final = 80
"""Octets of a line that ``usual_reply`` may be asked for, so that what it keeps is bounded."""


@lru_cache(256)
def usual_reply(line: bytes) -> Reply | None:
    """The reply that a line is by itself; ``None`` if more lines follow.

    A server says the same few things over and over. Raises RemoteProtocolError.
    """
    code, more, text = parse_reply_line(line)
    return None if more else parse_reply(code, (text,))


def begins_with_enhanced_code(code: int, line: str) -> bool:
    """Whether a client would take the begin of ``line`` for an enhanced status code."""
    return line.startswith(str(code)[0]) and _ENHANCED.fullmatch(line) is not None
