"""SASL (RFC 4422) for all protocols and both sides, without a protocol; see docs/sasl.md.

A client: ``choose`` gives a ``ClientExchange``. A server: ``Offer`` gives ``ServerExchange``s,
whose steps are data: what to send, what to ask the application, how it ended.
"""

from mailproto.sasl.anonymous import ANONYMOUS
from mailproto.sasl.channel_binding import (
    ChannelBinding,
    tls_exporter,
    tls_server_end_point,
    tls_unique,
)
from mailproto.sasl.choice import choose
from mailproto.sasl.cram_md5 import CRAM_MD5, CramMD5Keys
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
    ErrorResponse,
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
from mailproto.sasl.external import EXTERNAL
from mailproto.sasl.login import LOGIN
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.mechanisms import MECHANISMS, PASSWORD_MECHANISMS
from mailproto.sasl.oauthbearer import OAUTHBEARER
from mailproto.sasl.offer import Offer
from mailproto.sasl.plain import PLAIN
from mailproto.sasl.scram import (
    MAXIMUM_ITERATIONS,
    MINIMUM_ITERATIONS,
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    SCRAM_SHA_512,
    SCRAM_SHA_512_PLUS,
    ScramKeys,
)
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
from mailproto.sasl.xoauth2 import XOAUTH2

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
    "ScramKeys",
    "CramMD5Keys",
    "ChannelBinding",
    "tls_exporter",
    "tls_server_end_point",
    "tls_unique",
    "SASLError",
    "ServerNotProven",
    "Mechanism",
    "Strength",
    "takes",
    "ClientSettings",
    "ServerSettings",
    "ClientDialogue",
    "ErrorResponse",
    "ServerDialogue",
    "MECHANISMS",
    "PASSWORD_MECHANISMS",
    "PLAIN",
    "LOGIN",
    "CRAM_MD5",
    "SCRAM_SHA_1",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_256",
    "SCRAM_SHA_256_PLUS",
    "SCRAM_SHA_512",
    "SCRAM_SHA_512_PLUS",
    "XOAUTH2",
    "OAUTHBEARER",
    "EXTERNAL",
    "ANONYMOUS",
    "MINIMUM_ITERATIONS",
    "MAXIMUM_ITERATIONS",
    "CANCEL",
    "MALFORMED",
    "Unusable",
    "decode_response",
    "decode_initial_response",
    "decode_challenge",
    "encode",
    "encode_initial_response",
]
