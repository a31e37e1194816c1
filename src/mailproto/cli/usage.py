"""What commands share: options, the error for what is wrong with them, how strangers are quoted."""

from __future__ import annotations

import argparse
import datetime
import getpass
import os
import ssl
import sys
from ipaddress import ip_network
from pathlib import Path

from mailproto.flows.opening import TLSMode
from mailproto.flows.serving import Network
from mailproto.flows.tls import client_context
from mailproto.smtp.address import AddressError, check_domain
from mailproto.smtp.parameter_values import parse_date_time

__all__ = [
    "UsageError",
    "add_connection_options",
    "date_time",
    "host_and_port",
    "hostname",
    "login",
    "network",
    "number",
    "port",
    "printable",
    "read_password",
    "reason",
    "seconds",
    "trust",
]


class UsageError(Exception):
    """Something that the caller can put right: an option, a file, a port."""


def printable(text: str) -> str:
    """Without what would steer a terminal or cannot be written: the text is a stranger's."""
    return "".join(c if c.isprintable() else " " for c in text)


def port(text: str) -> int:
    """A TCP port, 0 for one that the system chooses; for argparse."""
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")


def number(text: str) -> int:
    """A number from 1 on; for argparse."""
    if text.isascii() and text.isdigit() and len(text) <= 15 and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")


def seconds(text: str) -> int:
    """Seconds from 1 on, as many as SMTP's extensions can say; for argparse."""
    if len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds (1 to 999999999)")
    return number(text)


def date_time(text: str) -> datetime.datetime:
    """A time with its zone, as RFC 3339 writes it: ``2026-12-24T18:00:00Z``; for argparse."""
    time = parse_date_time(text)
    if time is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-12-24T18:00:00Z")
    return time


def host_and_port(text: str) -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 address in brackets; for argparse."""
    host, colon, number = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, port(number)


def hostname(text: str) -> str:
    """A name, or an address in brackets, as EHLO has it; for argparse."""
    try:
        return check_domain(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def network(text: str) -> Network:
    """``10.0.0.0/8``, or one address; for argparse."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def trust(ca: str | None) -> ssl.SSLContext:
    """A client's TLS context: the system's authorities, or those of the file ``ca``."""
    try:
        return client_context(ca)
    except OSError as error:
        raise UsageError(f"cannot read the certificates of {ca}: {reason(error)}") from error


def read_password(user: str, file: str | None) -> str:
    """The password of ``user``: from a file, from MAILPROTO_PASSWORD, or asked for.

    Never from the command line, which other users of the machine can read.
    """
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the password file {file}: {reason(error)}") from error
    if (password := os.environ.get("MAILPROTO_PASSWORD")) is not None:
        return password
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {user}: ")
    raise UsageError("no password: use --password-file or the variable MAILPROTO_PASSWORD")


def reason(error: Exception) -> str:
    """What the system says, in its own words and without the numbers."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def add_connection_options(parser: argparse.ArgumentParser, tls: TLSMode) -> None:
    """Where the server is, how the connection is protected, and who logs in."""
    parser.add_argument("--host", default="localhost", help="the server's name")
    parser.add_argument("--port", type=port, help="its port; by default the one of the protocol")
    parser.add_argument(
        "--tls", choices=("implicit", "starttls", "none"), default=tls, help=f"default: {tls}"
    )
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust, in PEM")
    parser.add_argument("--user", metavar="NAME", help="who logs in")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="where the password is; else MAILPROTO_PASSWORD, else it is asked for",
    )
    parser.add_argument("--allow-insecure-auth", action="store_true", help="log in without TLS too")


def login(options: argparse.Namespace) -> tuple[str, str] | None:
    """User and password, or nobody."""
    user: str | None = options.user
    return None if user is None else (user, read_password(user, options.password_file))
