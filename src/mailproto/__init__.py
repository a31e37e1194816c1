"""SMTP, IMAP and POP3 as pure state machines, for clients and servers.

This file loads no protocol: `from mailproto import smtp` loads SMTP and nothing else.
"""

__version__ = "0.1.0"
