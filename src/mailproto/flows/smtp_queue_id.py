"""What a server calls a message that it has taken, read out of its reply.

No RFC has a form for it. These are the words of servers as they are installed; a reply in any
other words has no name here.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto.smtp import Reply

__all__ = ["queue_id"]

_NAME: Final = r"([A-Za-z0-9](?:[A-Za-z0-9._+/=:-]{0,126}[A-Za-z0-9_+/=-])?)"

_FORMS: Final = tuple(
    re.compile(form.replace("NAME", _NAME), re.IGNORECASE)
    for form in (
        r"\bqueued as <?NAME",  # Postfix, and whoever writes as it does
        r"\bid=NAME",  # Exim
        r"^NAME Message accepted for delivery",  # Sendmail, OpenSMTPD
        r"^<[^<>]{0,512}> NAME Saved\b",  # Dovecot, LMTP
        r"\[InternalId=([0-9]{1,20})\b",  # Exchange
        r"^OK +[0-9]{1,20} +NAME +- +gsmtp\b",  # Gmail
        r"^ok [0-9]{1,20} qp ([0-9]{1,20})\b",  # qmail
        r"^ok: +Message ([0-9]{1,20}) accepted\b",  # Cisco's gateways
        r"^Ok ([0-9a-f]{16}-[0-9a-f-]{36}-[0-9]{6})$",  # Amazon SES
        r"\bqueued with id NAME",  # Stalwart
        r"^Message Queued \(NAME\)",  # Haraka
    )
)


def queue_id(reply: Reply) -> str | None:
    """The name in a positive reply to the content, ``None`` where there is none."""
    if not reply.positive:
        return None
    text = reply.text
    for form in _FORMS:
        if match := form.search(text):
            return match[1]
    return None
