"""``mailproto demo``."""

HELP = "x"


def add_options(parser):
    pass


def run(options):
    return 0
