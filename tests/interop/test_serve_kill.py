"""kill -9 during a stream of deliveries: what was answered 250 is there after restart, once."""

from __future__ import annotations

import re
import smtplib
import threading
from collections import Counter
from pathlib import Path

from interop.conftest import Observer, ServeFactory
from interop.mail import assert_same_mail

SENDERS = 4
BEFORE_THE_KILL = 60


def message(name: str) -> bytes:
    body = b"".join(b"%s line %d\r\n" % (name.encode(), number) for number in range(300))
    return b"Subject: %s\r\nMessage-ID: <%s@t>\r\n\r\n%s" % (name.encode(), name.encode(), body)


def test_what_was_answered_250_survives_kill_9(start_serve: ServeFactory, tmp_path: Path) -> None:
    store = f"--store=sqlite:{tmp_path / 'mail.db'}"
    served = start_serve("--allow-insecure-auth", store)
    taken: list[str] = []
    enough = threading.Event()

    def deliver(sender: int) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", served.smtp, timeout=30) as client:
                for number in range(10_000):
                    name = f"m{sender}-{number}"
                    client.sendmail("a@elsewhere.test", ["alice@peer.test"], message(name))
                    taken.append(name)
                    if len(taken) >= BEFORE_THE_KILL:
                        enough.set()
        except (OSError, smtplib.SMTPException):
            return

    senders = [threading.Thread(target=deliver, args=(number,)) for number in range(SENDERS)]
    for thread in senders:
        thread.start()
    assert enough.wait(60)
    served.kill()
    for thread in senders:
        thread.join(30)

    again = start_serve("--allow-insecure-auth", store)
    stored: Counter[str] = Counter()
    for octets in Observer(again).messages():
        found = re.search(rb"^Subject: (m[0-9-]+)\r$", octets, re.MULTILINE)
        assert found is not None
        name = found[1].decode()
        assert_same_mail(octets, message(name))
        stored[name] += 1
    assert len(taken) >= BEFORE_THE_KILL
    assert [name for name in taken if stored[name] != 1] == []
    assert max(stored.values()) == 1
