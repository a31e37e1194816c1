"""P29: the defaults allow everything that the RFCs say must be accepted."""

from __future__ import annotations

from mailproto._core import limits


def test_P29_the_least_that_must_be_accepted() -> None:
    smtp = limits.SMTPServerLimits()
    assert smtp.command_line >= 512  # RFC 5321 section 4.5.3.1.4
    assert smtp.recipients >= 100  # RFC 5321 section 4.5.3.1.8
    assert smtp.content >= 64 * 1024  # RFC 5321 section 4.5.3.1.7
    assert smtp.authentication_line >= 12288  # RFC 4954 section 4
    assert limits.SMTPClientLimits().reply_line >= 512  # RFC 5321 section 4.5.3.1.5
    pop3 = limits.POP3ServerLimits()
    assert pop3.command_line >= 255  # RFC 2449 section 4
    assert pop3.authentication_line >= 12288
    assert limits.POP3ClientLimits().response_line >= 512  # RFC 2449 section 4
    imap = limits.IMAPServerLimits()
    assert imap.command_line_unauthenticated >= 8192  # RFC 7162 section 4
    assert imap.literal >= imap.literal_unauthenticated >= 4096  # RFC 7888 section 5
    assert limits.IMAPClientLimits().line >= 8192
