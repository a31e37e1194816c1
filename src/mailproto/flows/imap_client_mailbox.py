"""What an IMAP client's session knows of the selected mailbox, as the server told it."""

from __future__ import annotations

from attrs import define

from mailproto.imap import (
    Condition,
    ExistsData,
    ExpungeData,
    FlagsData,
    MailboxName,
    NumberCode,
    PermanentFlags,
    RecentData,
)

__all__ = ["Mailbox"]


@define
class Mailbox:
    """The selected mailbox; the session keeps it up to date."""

    name: MailboxName
    read_only: bool = False
    exists: int = 0
    """Messages in it."""
    recent: int = 0
    r"""Messages with the ``\\Recent`` flag."""
    flags: tuple[str, ...] = ()
    """Flags that may be in use."""
    permanent_flags: tuple[str, ...] | None = None
    r"""Flags that can be changed for good, ``\*`` for new ones; ``None``: all of ``flags``."""
    uid_validity: int | None = None
    """UIDs known from before are void if this has changed."""
    uid_next: int | None = None
    unseen: int | None = None
    r"""Sequence number of the first message without ``\\Seen``, when the mailbox was selected."""

    def update(self, event: object) -> None:
        """Take note of what the server tells; events that say nothing of a mailbox are ignored."""
        match event:
            case ExistsData(number):
                self.exists = number
            case RecentData(number):
                self.recent = number
            case ExpungeData():
                self.exists = max(0, self.exists - 1)
            case FlagsData(flags):
                self.flags = flags
            case Condition(code=PermanentFlags(flags)):
                self.permanent_flags = flags
            case Condition(code=NumberCode("UIDVALIDITY", number)):
                self.uid_validity = number
            case Condition(code=NumberCode("UIDNEXT", number)):
                self.uid_next = number
            case Condition(code=NumberCode("UNSEEN", number)):
                self.unseen = number
            case _:
                pass
