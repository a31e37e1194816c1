"""What the RFCs require and no other test is about; docs/sasl-requirements.md names them all."""

from __future__ import annotations

import pytest

from mailproto import sasl
from sasl.realm import pair


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f600"])
def test_P29_RFC_4616_section_2_parts_of_255_octets(character: str) -> None:
    part = character * (255 // len(character.encode()))
    credentials = sasl.PasswordCredentials(part, part, part)
    client, server = pair(sasl.PLAIN, credentials)
    initial = client.start()
    assert initial is not None
    assert server.start(initial) == sasl.Verify(credentials)


@pytest.mark.parametrize("key", ["mthd", "path", "post", "qs", "x", "HOSTS"])
def test_P19_RFC_7628_section_3_1_unknown_pairs_are_passed_over(key: str) -> None:
    message = f"n,a=alice,\x01{key}=a b\tc\r\n\x01auth=Bearer token\x01\x01".encode()
    _, server = pair(sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token"))
    assert server.start(message) == sasl.Verify(sasl.TokenCredentials("alice", "token"))
