"""pymap's command parser, given whole commands with their literals: framing is free."""

from __future__ import annotations

from importlib.metadata import version

from pymap.parsing import Params
from pymap.parsing.commands import Commands
from registry import Prepared

VERSION = version("pymap")


def imap_server(given):
    commands = Commands()
    lines = [memoryview(line) for line in given]

    def run():
        parse = commands.parse
        return [parse(line, Params())[0] for line in lines]

    return Prepared(run, lambda result: [command.command.decode() for command in result])
