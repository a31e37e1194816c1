"""What a POP3 server says in words, and the languages it says it in (LANG, RFC 6856 section 3).

Texts are known by their English form, which is also what is said where a translation lacks one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import Attribute, field, frozen

from mailproto import pop3
from mailproto.sasl import FailureReason

__all__ = ["ENGLISH", "TEXTS", "Speech", "Translation"]

READY: Final = "POP3 server ready"
SEND_PASS: Final = "send PASS"
BEGIN_TLS: Final = "begin TLS negotiation"
UTF8_ON: Final = "UTF-8 mode"
LOGGED_IN: Final = "{count} messages"
DELETED: Final = "message {count} deleted"
OCTETS: Final = "{count} octets"
BYE: Final = "bye"
BYE_EMPTY: Final = "bye (maildrop empty)"
BYE_LEFT: Final = "bye ({count} messages left)"
LANGUAGE: Final = "language changed"

WRONG: Final = "the user name or the password is wrong"
NO_MECHANISM: Final = "this mechanism is not available"
IN_USE: Final = "another session has the maildrop"
LOGIN_DELAY: Final = "logged in too recently: wait {count} seconds"
STORE_FAILED: Final = "the maildrop cannot be used now"
NO_MAILDROP: Final = "the maildrop cannot be used"
NO_SUCH_MESSAGE: Final = "no such message"
GONE: Final = "the message is not there any more"
UNREADABLE: Final = "the message cannot be read now"
NEEDS_UTF8: Final = "the message needs the UTF8 command"
NOT_REMOVED: Final = "the deleted messages were not removed"
NO_LANGUAGE: Final = "no such language"
TOO_EARLY: Final = "the server speaks first"
SHUTDOWN: Final = "the server is shutting down"

TEXTS: Final[Sequence[str]] = (
    READY,
    SEND_PASS,
    BEGIN_TLS,
    UTF8_ON,
    LOGGED_IN,
    DELETED,
    OCTETS,
    BYE,
    BYE_EMPTY,
    BYE_LEFT,
    LANGUAGE,
    WRONG,
    NO_MECHANISM,
    IN_USE,
    LOGIN_DELAY,
    STORE_FAILED,
    NO_MAILDROP,
    NO_SUCH_MESSAGE,
    GONE,
    UNREADABLE,
    NEEDS_UTF8,
    NOT_REMOVED,
    NO_LANGUAGE,
    TOO_EARLY,
    SHUTDOWN,
    # what an exchange of SASL ends with
    FailureReason.MALFORMED.value,
    FailureReason.CANCELLED.value,
    # what the machine says of commands that it does not take
    "unknown command",
    "not allowed in this state",
    "this command has no argument",
    "a message number is missing",
    "not a message number",
    "TOP needs a message number and a number of lines",
    "not a message number and a number of lines",
    "a name is missing",
    "a password is missing",
    "the name is not UTF-8",
    "the password is not UTF-8",
    "the name has a control character",
    "the password has a control character",
    "APOP needs a name and a digest",
    "AUTH needs the name of a mechanism",
    "the initial response is not base64",
    "the response is not base64",
    "not a language range",
    "PASS must follow USER",
    "STLS is not allowed after UTF8",
    "USER is not available",
    "APOP is not available",
    "STLS is not available",
    "LAST is not available",
    "UTF8 is not available",
    "LANG is not available",
    "TLS is needed first",
    "TLS is needed first: give STLS",
    "TLS is on already",
    "line too long",
    "too many errors",
    "this is a POP3 server",
)
"""Every text, in English; in some ``{count}`` stands for a number."""

# Half of a response line, so that there is room for a response code and a number.
_LONGEST: Final = 256
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _usable(_: object, attribute: Attribute[Mapping[str, str]], texts: Mapping[str, str]) -> None:
    for text in texts.values():
        if not text or text[0] == "[" or _UNUSABLE.search(text) or len(text.encode()) > _LONGEST:
            raise ValueError(f"not a text of one line in {attribute.name}: {text!r}")


def _described(_: object, __: Attribute[str], description: str) -> None:
    if _UNUSABLE.search(description) or len(description.encode()) > _LONGEST:
        raise ValueError(f"not a text of one line: {description!r}")


@frozen
class Translation:
    """A language for ``LANG``: its tag, its name in itself, and texts by their English form.

    ::

        Translation("es", "Español", {"no such message": "no hay tal mensaje"})

    ``TEXTS`` lists the English forms. Raises ValueError for a text that fits on no line.
    """

    tag: str
    description: str = field(default="", validator=_described)
    texts: Mapping[str, str] = field(factory=dict[str, str], validator=_usable)


ENGLISH: Final = Translation("en", "English")
"""The language of every session that has not chosen another one."""


class Speech:
    """The language that a session speaks, of those that its server knows."""

    __slots__ = ("_languages", "_texts")

    def __init__(self, languages: Sequence[Translation]) -> None:
        self._languages = languages
        self._texts: Mapping[str, str] = ENGLISH.texts

    def reset(self) -> None:
        """Speak English again: a client under TLS is another one."""
        self._texts = ENGLISH.texts

    def listing(self) -> pop3.Languages:
        """The answer to LANG without an argument."""
        return pop3.Languages(
            tuple(pop3.Language(each.tag, each.description) for each in self._offered())
        )

    def choose(self, language_range: str) -> pop3.LanguageChanged | pop3.Err:
        """Change to the first language in a basic language range (RFC 4647 section 3.3.1).

        ``*`` is the first language that the server was given.
        """
        wanted = language_range.lower()
        for each in self._languages if wanted == "*" else self._offered():
            tag = each.tag.lower()
            if wanted in ("*", tag) or tag.startswith(wanted + "-"):
                self._texts = each.texts
                return pop3.LanguageChanged(each.tag, self.say(LANGUAGE))
        return self.err(NO_LANGUAGE)

    def say(self, text: str, count: int = 0) -> str:
        """``text`` in the session's language, with its number."""
        return self._texts.get(text, text).replace("{count}", str(count))

    def ok(self, text: str, count: int = 0) -> pop3.Ok:
        """A positive answer."""
        return pop3.Ok(self.say(text, count))

    def err(self, text: str, code: pop3.ResponseCode | None = None, count: int = 0) -> pop3.Err:
        """A negative answer."""
        return pop3.Err(self.say(text, count), code)

    def _offered(self) -> Sequence[Translation]:
        if any(each.tag.lower() == ENGLISH.tag for each in self._languages):
            return self._languages
        return (ENGLISH, *self._languages)
