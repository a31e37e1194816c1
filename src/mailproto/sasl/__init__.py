"""SASL (RFC 4422) for all protocols and both sides, without a protocol; see docs/sasl.md.

A client: ``choose`` gives a ``ClientExchange``. A server: ``Offer`` gives ``ServerExchange``s,
whose steps are data: what to send, what to ask the application, how it ended.
"""

from mailproto.sasl.channel_binding import ChannelBinding
from mailproto.sasl.choice import choose
from mailproto.sasl.credentials import (
    AnonymousCredentials,
    Credentials,
    ExternalCredentials,
    PasswordCredentials,
    ProvenCredentials,
    StoredKeys,
    TokenCredentials,
)
from mailproto.sasl.exchange import (
    Answer,
    Challenge,
    ClientDialogue,
    ClientExchange,
    Failure,
    FailureReason,
    Lookup,
    SASLError,
    ServerDialogue,
    ServerExchange,
    ServerNotProven,
    Step,
    Success,
    Verify,
)
from mailproto.sasl.login import LOGIN
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.mechanisms import MECHANISMS
from mailproto.sasl.offer import PASSWORD_MECHANISMS, Offer
from mailproto.sasl.plain import PLAIN
from mailproto.sasl.wire import (
    CANCEL,
    MALFORMED,
    Unusable,
    decode_challenge,
    decode_initial_response,
    decode_response,
    encode,
    encode_initial_response,
)

__all__ = [
    "choose",
    "ClientExchange",
    "Offer",
    "ServerExchange",
    "Step",
    "Challenge",
    "Verify",
    "Lookup",
    "Success",
    "Failure",
    "FailureReason",
    "Answer",
    "Credentials",
    "PasswordCredentials",
    "TokenCredentials",
    "ExternalCredentials",
    "AnonymousCredentials",
    "ProvenCredentials",
    "StoredKeys",
    "ChannelBinding",
    "SASLError",
    "ServerNotProven",
    "Mechanism",
    "Strength",
    "takes",
    "ClientSettings",
    "ServerSettings",
    "ClientDialogue",
    "ServerDialogue",
    "MECHANISMS",
    "PASSWORD_MECHANISMS",
    "PLAIN",
    "LOGIN",
    "CANCEL",
    "MALFORMED",
    "Unusable",
    "decode_response",
    "decode_initial_response",
    "decode_challenge",
    "encode",
    "encode_initial_response",
]
