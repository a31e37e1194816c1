"""What ``mailproto send`` asks of the server beside delivery: the parameters of MAIL and RCPT.

A server that does not offer the extension is not asked: that is an error before anything is sent.
"""

from __future__ import annotations

import argparse
from typing import Final, Literal

from mailproto.cli.usage import UsageError, date_time, seconds
from mailproto.smtp import (
    DeliverBy,
    EnvId,
    HoldFor,
    HoldUntil,
    MailParameter,
    MtPriority,
    Notify,
    RcptParameter,
    RequireTLS,
    Ret,
)
from mailproto.smtp.parameter_values import parse_mail_parameter

__all__ = ["add_parameter_options", "mail_parameters", "rcpt_parameters"]

_EVENTS: Final[dict[str, Literal["SUCCESS", "FAILURE", "DELAY"]]] = {
    "success": "SUCCESS",
    "failure": "FAILURE",
    "delay": "DELAY",
}
_MODES: Final[dict[str, Literal["N", "R"]]] = {"notify": "N", "return": "R"}
_RETS: Final[dict[str, Literal["FULL", "HDRS"]]] = {"full": "FULL", "hdrs": "HDRS"}


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """The options; without them nothing is asked."""
    group = parser.add_argument_group(
        "what to ask of the server", "each needs the extension that it names"
    )
    group.add_argument(
        "--notify",
        type=_notify,
        metavar="EVENT[,EVENT]",
        help="send notifications of success, failure, delay, or never (DSN)",
    )
    group.add_argument(
        "--ret",
        choices=sorted(_RETS),
        help="whether a failure brings back the full message or its header (DSN)",
    )
    group.add_argument(
        "--envid",
        type=_envid,
        metavar="TEXT",
        help="what notifications name the message by (DSN)",
    )
    group.add_argument(
        "--deliver-by",
        type=seconds,
        metavar="SECONDS",
        help="deliver within that time (DELIVERBY)",
    )
    group.add_argument(
        "--late",
        choices=sorted(_MODES),
        help="with --deliver-by: return the message after that time, or notify; default: return",
    )
    hold = group.add_mutually_exclusive_group()
    hold.add_argument(
        "--hold-for",
        type=seconds,
        metavar="SECONDS",
        help="release the message so much later (FUTURERELEASE)",
    )
    hold.add_argument(
        "--hold-until",
        type=date_time,
        metavar="TIME",
        help="release the message then: 2026-12-24T18:00:00Z (FUTURERELEASE)",
    )
    group.add_argument(
        "--priority",
        type=_priority,
        metavar="LEVEL",
        help="-9, the lowest, to 9 (MT-PRIORITY); write --priority=-3 for one below 0",
    )
    group.add_argument(
        "--require-tls", action="store_true", help="never to be sent without TLS (REQUIRETLS)"
    )
    group.add_argument(
        "--smtputf8",
        action="store_true",
        help="the header has UTF-8 as it is (SMTPUTF8); addresses with it need no option",
    )


def mail_parameters(options: argparse.Namespace) -> tuple[MailParameter, ...]:
    """What MAIL asks for. Raises UsageError."""
    asked: list[MailParameter] = []
    if options.ret is not None:
        asked.append(Ret(_RETS[options.ret]))
    if options.envid is not None:
        asked.append(options.envid)
    if options.deliver_by is not None:
        asked.append(DeliverBy(options.deliver_by, _MODES[options.late or "return"]))
    elif options.late is not None:
        raise UsageError("--late needs --deliver-by: after which time?")
    if options.hold_for is not None:
        asked.append(HoldFor(options.hold_for))
    if options.hold_until is not None:
        asked.append(HoldUntil(options.hold_until))
    if options.priority is not None:
        asked.append(MtPriority(options.priority))
    if options.require_tls:
        asked.append(RequireTLS())
    return tuple(asked)


def rcpt_parameters(options: argparse.Namespace) -> tuple[RcptParameter, ...]:
    """What RCPT asks for, the same for each recipient."""
    return () if options.notify is None else (options.notify,)


def _notify(text: str) -> Notify:
    names = text.lower().split(",")
    if names == ["never"]:
        return Notify(frozenset())
    if not all(name in _EVENTS for name in names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither never nor a list of success, failure, delay"
        )
    return Notify(frozenset(_EVENTS[name] for name in names))


def _envid(text: str) -> EnvId:
    asked = EnvId(text)
    if parse_mail_parameter(asked.keyword, asked.value) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not up to 100 characters of printable ASCII")
    return asked


def _priority(text: str) -> int:
    digit = text.removeprefix("-")
    if not (len(digit) == 1 and digit in "0123456789"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a priority (-9 to 9)")
    return int(text)
