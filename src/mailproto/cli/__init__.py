"""The command line: ``mailproto serve | send | fetch | demo``, also ``python -m mailproto``.

Whatever is wrong with the call or the surroundings (an option, a file, a port) is one line on
standard error and exit status 2; a conversation that failed is one line and exit status 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

__all__ = ["main"]

_COMMANDS: Final = ("serve", "send", "fetch", "demo")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    from mailproto.cli.usage import UsageError, printable
    from mailproto.errors import MailError

    parser = _Parser(
        prog="mailproto",
        description="Mail servers and clients on the mailproto library.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked_for = (sys.argv[1:] if arguments is None else arguments)[:1]
    # A command brings along what it needs of the library, so the others are not loaded.
    for name in asked_for if {*asked_for} & {*_COMMANDS} else _COMMANDS:
        module = import_module(f"mailproto.cli.{name}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            allow_abbrev=False,
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except UsageError as error:
        print(f"mailproto {options.command}: {error}", file=sys.stderr)
        return 2
    except MailError as error:
        print(f"mailproto {options.command}: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
