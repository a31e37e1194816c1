"""The command line: ``mailproto serve | send | fetch | demo``, also ``python -m mailproto``.

Whatever is wrong with the call or the surroundings (an option, a file, a port) is one line on
standard error and exit status 2; a conversation that failed is one line and exit status 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    from mailproto.cli import demo, fetch, send, serve
    from mailproto.cli.usage import UsageError
    from mailproto.errors import MailError

    parser = _Parser(
        prog="mailproto",
        description="Mail servers and clients on the mailproto library.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (serve, send, fetch, demo):
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
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
        print(f"mailproto {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
