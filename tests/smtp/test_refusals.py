"""What serializers and parsers of SMTP refuse that no session of theirs says."""

from __future__ import annotations

import datetime

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.serialize import serialize_command


@pytest.mark.parametrize("size", [-1, 1 << 63])
def test_P17_the_size_of_a_chunk_is_within_bounds(size: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"{size} is not the size of a chunk"):
        serialize_command(smtp.Bdat(size))
    assert serialize_command(smtp.Bdat((1 << 63) - 1, last=True)) == (
        b"BDAT 9223372036854775807 LAST\r\n"
    )


def test_P04_a_time_that_no_calendar_has_in_UTC_is_refused() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=-12))
    late = datetime.datetime.max.replace(tzinfo=zone)
    rcpt = smtp.Rcpt(smtp.Mailbox.parse("a@b.example"), parameters=(smtp.Rrvs(late),))
    with pytest.raises(LocalProtocolError):
        serialize_command(rcpt)


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b.example> X-COMMENT=\u00e9"])
def test_no_parameter_is_beyond_ASCII_without_SMTPUTF8(line: str) -> None:
    """RFC 6531 section 3.4."""
    offer = smtp.Offer(extensions=(smtp.Extension("X-COMMENT", mail_parameters=("X-COMMENT",)),))
    for smtputf8 in (False, True):
        server = smtp.Server(tls=True, offer=offer)
        server.accept()
        server.receive_data(b"EHLO me\r\n")
        server.next_event()
        server.accept()
        server.receive_data(f"{line}{' SMTPUTF8' if smtputf8 else ''}\r\n".encode())
        event = server.next_event()
        assert isinstance(event, smtp.Mail if smtputf8 else smtp.Invalid)
