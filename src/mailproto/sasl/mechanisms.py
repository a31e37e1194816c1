"""Every mechanism that is built in, in the order of preference among those of equal strength."""

from __future__ import annotations

from typing import Final

from mailproto.sasl.anonymous import ANONYMOUS
from mailproto.sasl.cram_md5 import CRAM_MD5
from mailproto.sasl.external import EXTERNAL
from mailproto.sasl.login import LOGIN
from mailproto.sasl.mechanism import Mechanism
from mailproto.sasl.oauthbearer import OAUTHBEARER
from mailproto.sasl.plain import PLAIN
from mailproto.sasl.scram import (
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    SCRAM_SHA_512,
    SCRAM_SHA_512_PLUS,
)
from mailproto.sasl.xoauth2 import XOAUTH2

__all__ = ["MECHANISMS", "PASSWORD_MECHANISMS"]

PASSWORD_MECHANISMS: Final[tuple[Mechanism, ...]] = (
    SCRAM_SHA_512_PLUS,
    SCRAM_SHA_256_PLUS,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_512,
    SCRAM_SHA_256,
    SCRAM_SHA_1,
    PLAIN,
    LOGIN,
)
"""The default of ``Offer``: what a server can verify from SCRAM keys alone, strongest first."""

MECHANISMS: Final[tuple[Mechanism, ...]] = (
    *PASSWORD_MECHANISMS,
    CRAM_MD5,
    EXTERNAL,
    OAUTHBEARER,
    XOAUTH2,
    ANONYMOUS,
)
"""The default of ``choose``; add your own with ``mechanisms=(MINE, *sasl.MECHANISMS)``."""
