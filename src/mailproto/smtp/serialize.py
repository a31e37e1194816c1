"""From commands and replies to octets. Nothing gets out of its field: no CR, LF or NUL, ever.

Whatever cannot be written as exactly one command or one reply raises LocalProtocolError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from mailproto._core import abnf, strict
from mailproto.errors import LocalProtocolError
from mailproto.sasl import wire
from mailproto.smtp.address import (
    LOCAL_PART_LIMIT,
    Mailbox,
    SpecialPath,
    check_domain,
    check_path,
)
from mailproto.smtp.commands import (
    Atrn,
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
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
from mailproto.smtp.parameters import MailParameter, Parameter, RcptParameter
from mailproto.smtp.parse import (
    ATRN_ARGUMENT,
    ETRN_ARGUMENT,
    VERBS,
    begins_with_enhanced_code,
    conflict,
    may_be_attribute,
)
from mailproto.smtp.replies import Challenge, EnhancedCode, Reply
from mailproto.smtp.states import NAMES
from mailproto.smtp.url import is_absolute_uri, redacted
from mailproto.smtp.xtext import to_xtext

__all__ = [
    "initial_response_room",
    "serialize_challenge",
    "serialize_command",
    "serialize_reply",
]

_MAILBOX: Final = re.compile(
    f"{abnf.DOT_STRING.decode()}@{abnf.SUB_DOMAIN.decode()}(?:\\.{abnf.SUB_DOMAIN.decode()})*"
)
_TEXT: Final = re.compile(r"(?:[\x20-\x7e]|[^\x00-\x7f])*")
_MECHANISM: Final = re.compile(r"[A-Z0-9_-]{1,20}")
_VERB: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,63}")
_KEYWORD: Final = re.compile(r"[A-Z0-9][A-Z0-9-]*")
_VALUE: Final = re.compile(r"(?:[\x21-\x3c\x3e-\x7e]|[^\x00-\x7f])+")
_REPLY_TEXT: Final = re.compile(r"[^\r\n\x00]*")
# RFC 5321 section 4.5.3.1.4. AUTH is subject to it as it stands (RFC 4954 section 4), and so are
# XCLIENT and XFORWARD by their READMEs.
_COMMAND_LINE: Final = 512
_OWN_FIELDS: Final = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH"})


def serialize_command(command: Command) -> bytes:
    """The line of a command with its CRLF; ``Body`` and ``EndOfMessage`` are no lines."""
    kind = type(command)
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    serializer = _SERIALIZERS.get(kind)
    if serializer is None:
        raise LocalProtocolError(f"{type(command).__name__} is not a command line")
    try:
        return serializer(command).encode() + b"\r\n"
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{error.object!r} cannot be written as UTF-8") from None


def serialize_reply(
    reply: Reply, *, enhanced: bool = True, default: EnhancedCode | None = None
) -> bytes:
    """All lines of a reply, preceded by its enhanced status code where ``enhanced`` says so.

    ``default`` is the code of a reply that has none.
    """
    code, lines, status = reply.code, reply.lines, reply.enhanced
    if not 200 <= code <= 599:
        raise LocalProtocolError(f"{code} is not a reply code")
    if not lines:
        raise LocalProtocolError("a reply has at least one line")
    prefix = ""
    if enhanced:
        if status is None:
            if any(begins_with_enhanced_code(code, line) for line in lines):
                raise LocalProtocolError(f"enhanced status code inside the text of {reply!r}")
            status = default
        if status is not None:
            _check_status(code, status)
            prefix = f"{status} "
    for line in lines:
        if _REPLY_TEXT.fullmatch(line) is None:
            raise LocalProtocolError(f"CR, LF or NUL in the text of a reply: {line!r}")
    last = len(lines) - 1
    text = "".join(
        [f"{code}{' ' if n == last else '-'}{prefix}{line}\r\n" for n, line in enumerate(lines)]
    )
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{text!r} cannot be written as UTF-8") from None


def serialize_challenge(challenge: Challenge) -> bytes:
    """``334`` and base64."""
    return b"334 " + wire.encode(challenge.data) + b"\r\n"


def _check_status(code: int, status: EnhancedCode) -> None:
    if status.status != code // 100 or status.status == 3:
        raise LocalProtocolError(f"{status} does not go with {code}")
    if not (0 <= status.subject <= 999 and 0 <= status.detail <= 999):
        raise LocalProtocolError(f"{status} is not an enhanced status code")


# --------------------------------------------------------------------------------- arguments


def _path(path: object) -> str:
    if not isinstance(path, Mailbox):
        if isinstance(path, SpecialPath):
            return str(path)
        raise LocalProtocolError(f"{path!r} is no path; Mailbox.parse() makes one of a text")
    text = f"{path.local_part}@{path.domain}"
    # The usual shape; check_path writes any other, or says what is wrong with it.
    if len(text) <= LOCAL_PART_LIMIT and _MAILBOX.fullmatch(text):
        return text
    return check_path(path)


def _checked(text: str, what: str) -> str:
    if _TEXT.fullmatch(text) is None:
        raise LocalProtocolError(f"control character in {what}: {text!r}")
    if text.strip(" ") != text:
        raise LocalProtocolError(f"{what} begins or ends with a space: {text!r}")
    return text


def _parameters(
    parameters: tuple[MailParameter, ...] | tuple[RcptParameter, ...],
    of_the_other: Mapping[str, str],
    parse: Callable[[str, str | None], object],
) -> str:
    seen: set[str] = set()
    text = ""
    for parameter in parameters:
        keyword, value = parameter.keyword, parameter.value
        if _KEYWORD.fullmatch(keyword) is None:
            raise LocalProtocolError(f"{keyword!r} is not a keyword in upper case")
        if keyword in _OWN_FIELDS:
            raise LocalProtocolError(f"{keyword} is a field of Mail, not a parameter")
        if keyword in of_the_other:
            raise LocalProtocolError(f"{keyword} belongs to the other of MAIL and RCPT")
        if keyword in seen:
            raise LocalProtocolError(f"{keyword} is given twice")
        if value is not None and _VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"{value!r} is not a value for {keyword}")
        meant = parse(keyword, value)
        if meant is None:
            raise LocalProtocolError(f"{parameter!r} has no legal value")
        if not (meant == parameter or isinstance(parameter, Parameter)):
            raise LocalProtocolError(f"{parameter!r} would be read as {meant!r}")
        seen.add(keyword)
        text += f" {keyword}" if value is None else f" {keyword}={value}"
    problem = conflict(seen)
    if problem is not None:
        raise LocalProtocolError(problem)
    return text


# ---------------------------------------------------------------------------------- commands


def _mail(command: Mail) -> str:
    text = f"MAIL FROM:<{_path(command.reverse_path)}>"
    if text == "MAIL FROM:<Postmaster>":
        raise LocalProtocolError("a reverse-path needs a domain")
    if command.size is not None:
        if not 0 <= command.size < 10**20:
            raise LocalProtocolError(f"{command.size} is not a size")
        text += f" SIZE={command.size}"
    if command.body is not None:
        text += f" BODY={command.body.value}"
    if command.smtputf8:
        text += " SMTPUTF8"
    if command.auth is not None:
        text += f" AUTH={to_xtext(_path(command.auth)) or '<>'}"
    if command.parameters:
        text += _parameters(command.parameters, RCPT_PARAMETERS, parse_mail_parameter)
    if not (command.smtputf8 or text.isascii()):
        raise LocalProtocolError(f"{text!r} is not ASCII and needs smtputf8")
    return text


def _rcpt(command: Rcpt) -> str:
    text = f"RCPT TO:<{_path(command.forward_path)}>"
    if text == "RCPT TO:<>":
        raise LocalProtocolError("a forward-path cannot be empty")
    if command.parameters:
        text += _parameters(command.parameters, MAIL_PARAMETERS, parse_rcpt_parameter)
    return text


def _auth(command: Auth) -> str:
    if _MECHANISM.fullmatch(command.mechanism) is None:
        raise LocalProtocolError(f"{command.mechanism!r} is not the name of a mechanism")
    text = f"AUTH {command.mechanism}"
    if command.initial_response is not None:
        text += " " + wire.encode_initial_response(command.initial_response).decode()
    return text


def initial_response_room(mechanism: str) -> int:
    """How many octets of an initial response fit into AUTH (RFC 4954 section 4)."""
    return (_COMMAND_LINE - len("AUTH  \r\n") - len(mechanism)) // 4 * 3


def _hello(command: Ehlo | Helo | Lhlo) -> str:
    return f"{NAMES[type(command)]} {check_domain(command.domain)}"


def _response(command: AuthResponse) -> str:
    return wire.encode(command.data).decode()


def _bdat(command: Bdat) -> str:
    if not 0 <= command.size <= strict.NUMBER_64:
        raise LocalProtocolError(f"{command.size} is not the size of a chunk")
    return f"BDAT {command.size} LAST" if command.last else f"BDAT {command.size}"


def _etrn(command: Etrn) -> str:
    argument = command.option + command.node
    match = ETRN_ARGUMENT.fullmatch(argument)
    if match is None or (match[1] or match[3] or "") != command.option:
        raise LocalProtocolError(f"{argument!r} is not the argument of ETRN")
    return f"ETRN {argument}"


def _atrn(command: Atrn) -> str:
    argument = ",".join(command.domains)
    if not argument and not command.domains:
        return "ATRN"
    if ATRN_ARGUMENT.fullmatch(argument) is None or argument.count(",") >= len(command.domains):
        raise LocalProtocolError(f"{argument!r} is not the argument of ATRN")
    return f"ATRN {argument}"


def _burl(command: Burl) -> str:
    if not is_absolute_uri(command.url):
        raise LocalProtocolError(f"{redacted(command.url)!r} is not an absolute URI")
    return f"BURL {command.url} LAST" if command.last else f"BURL {command.url}"


def _noop(command: Noop) -> str:
    return _with_text("NOOP", command.text)


def _help(command: Help) -> str:
    return _with_text("HELP", command.topic)


def _with_text(verb: str, text: str) -> str:
    return f"{verb} {_checked(text, 'the argument of ' + verb)}" if text else verb


def _query(command: Vrfy | Expn) -> str:
    verb, text, smtputf8 = NAMES[type(command)], command.text, command.smtputf8
    if not text:
        raise LocalProtocolError(f"{verb} needs an argument")
    if not (smtputf8 or text.isascii()):
        raise LocalProtocolError(f"{text!r} is not ASCII and needs smtputf8")
    if text.upper().endswith(" SMTPUTF8") and not smtputf8:
        raise LocalProtocolError("SMTPUTF8 at the end would be read as the parameter")
    return _with_text(verb, text) + (" SMTPUTF8" if smtputf8 else "")


def _attributes(command: XClient | XForward) -> str:
    verb = NAMES[type(command)]
    known = XCLIENT_ATTRIBUTES if isinstance(command, XClient) else XFORWARD_ATTRIBUTES
    names = [name for name, _ in command.attributes]
    if not names or len(set(names)) != len(names) or not set(names) <= set(known):
        raise LocalProtocolError(f"{verb} has each of {', '.join(known)} at most once, not {names}")
    text = verb
    for name, value in command.attributes:
        if not may_be_attribute(verb, value):
            raise LocalProtocolError(f"{name} of {verb} cannot be {value!r}")
        text += f" {name}={to_xtext(value)}"
    if len(text) + 2 > _COMMAND_LINE:
        raise LocalProtocolError(f"{verb} is longer than {_COMMAND_LINE} octets; use several")
    return text


def _other(command: OtherCommand) -> str:
    if _VERB.fullmatch(command.verb) is None:
        raise LocalProtocolError(f"{command.verb!r} is not a verb in upper case")
    if command.verb in VERBS:
        raise LocalProtocolError(f"{command.verb} has a class of its own")
    return _with_text(command.verb, command.argument)


_FIXED: Final[Mapping[type, bytes]] = {
    StartTLS: b"STARTTLS\r\n",
    AuthCancel: b"*\r\n",
    Data: b"DATA\r\n",
    Rset: b"RSET\r\n",
    Quit: b"QUIT\r\n",
}
_SERIALIZERS: Final[Mapping[type, Callable[..., str]]] = {
    Ehlo: _hello,
    Helo: _hello,
    Lhlo: _hello,
    Auth: _auth,
    AuthResponse: _response,
    Mail: _mail,
    Rcpt: _rcpt,
    Bdat: _bdat,
    Burl: _burl,
    Etrn: _etrn,
    Atrn: _atrn,
    Noop: _noop,
    Vrfy: _query,
    Expn: _query,
    Help: _help,
    XClient: _attributes,
    XForward: _attributes,
    OtherCommand: _other,
}
