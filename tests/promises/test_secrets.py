"""P16 beyond whole sessions: every class, every value in use, every exception and its causes."""

from __future__ import annotations

import base64
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

import mailproto
from flows.sasl_world import CREDENTIALS, PASSWORD, Everyone, World, ident
from mailproto import imap, pop3, sasl, smtp
from mailproto.backend.directory import Users
from mailproto.errors import MailError
from mailproto.flows.effects import Effect, Flow, T, Unread, Write
from mailproto.imap.serialize.commands import LiteralArgument

CANARY: Final = "Canary-8R5y.Al0x"

# --------------------------------------------------------------------------------- every class

_SECRET: Final = re.compile(
    "password|token|secret|digest|initial_response|salt|.*_key|nonce|login|certifier|keying.*"
)
"""Names of fields that nobody may read."""
_OF_SASL: Final = re.compile("data|response|final")
"""Names that are those of secrets where SASL is spoken."""
_SPEAKS_SASL: Final = re.compile("Challenge|.*Response|.*Binding|Success")


def classes() -> Iterator[type[Any]]:
    """Every public class of values, wherever it is."""
    seen: set[object] = set()
    for module in pkgutil.walk_packages(mailproto.__path__, "mailproto."):
        if module.name.startswith(("mailproto.testing", "mailproto.__main__")):
            continue
        found = importlib.import_module(module.name)
        for name in getattr(found, "__all__", ()):
            value = getattr(found, name)
            if inspect.isclass(value) and attrs.has(value) and value not in seen:
                seen.add(value)
                yield value


def secret_fields() -> list[tuple[type[Any], str]]:
    return [
        (cls, field.name)
        for cls in classes()
        for field in attrs.fields(cls)
        if "str" in str(field.type) or "bytes" in str(field.type) or "Login" in str(field.type)
        if _SECRET.fullmatch(field.name)
        or (_SPEAKS_SASL.fullmatch(cls.__name__) and _OF_SASL.fullmatch(field.name))
    ]


@pytest.mark.parametrize(
    ("cls", "name"), secret_fields(), ids=lambda value: getattr(value, "__qualname__", str(value))
)
def test_P16_no_field_that_holds_a_secret_is_in_a_repr(cls: type[Any], name: str) -> None:
    """By the text of a value made without its constructor, so that every field can be filled."""
    value: Any = object.__new__(cls)
    for field in attrs.fields(cls):
        object.__setattr__(value, field.name, CANARY if field.name == name else None)
    assert CANARY not in repr(value)
    assert CANARY not in f"{value} {value!s}"


def test_the_search_finds_what_it_is_for() -> None:
    found = {f"{cls.__name__}.{name}" for cls, name in secret_fields()}
    assert found >= {
        "Login.password",
        "Pass.password",
        "Apop.digest",
        "Auth.initial_response",
        "Authenticate.initial_response",
        "AuthResponse.data",
        "AuthenticateResponse.data",
        "Challenge.data",
        "PasswordCredentials.password",
        "TokenCredentials.token",
        "ScramKeys.stored_key",
        "ScramKeys.server_key",
        "ScramKeys.salt",
        "ServerSettings.decoy_key",
        "ChannelBinding.data",
        "RelaySettings.login",
    }


@pytest.mark.parametrize("value", [Write, Unread, LiteralArgument])
def test_P16_octets_on_their_way_are_not_in_a_repr(value: Callable[[bytes], object]) -> None:
    shown = repr(value(CANARY.encode()))
    assert CANARY not in shown


# ------------------------------------------------------------------------- every value in use


def values(flow: Any) -> Iterator[object]:
    """What the variables of a conversation hold, and what hangs on them, of this package."""
    waiting: list[object] = []
    while inspect.isgenerator(flow):
        if flow.gi_frame is not None:
            waiting += flow.gi_frame.f_locals.values()
        flow = flow.gi_yieldfrom
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | type | None):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif inspect.isgenerator(value):
            waiting += [] if value.gi_frame is None else value.gi_frame.f_locals.values()
        elif type(value).__module__.startswith("mailproto"):
            yield value
            names = [*getattr(value, "__dict__", ())]
            for cls in type(value).__mro__:
                names += getattr(cls, "__slots__", ())
            waiting += [getattr(value, name, None) for name in names if name != "__weakref__"]


class WatchedWorld(World):
    """Looks at everything, at every step of both sides."""

    def __init__(self, protocol: str, secrets: tuple[str, ...], **options: Any) -> None:
        super().__init__(protocol, **options)
        self.secrets = secrets
        self.looked_at: set[str] = set()

    def server(self) -> Flow[None]:
        return self.watch(super().server())

    def watch(self, flow: Flow[T]) -> Flow[T]:
        result: object = None
        error: Exception | None = None
        while True:
            try:
                effect: Effect = flow.send(result) if error is None else flow.throw(error)
            except StopIteration as stop:
                value: T = stop.value
                return value
            self.look(flow, effect)
            error = None
            try:
                result = yield effect
            except Exception as raised:
                error = raised

    def look(self, flow: object, effect: object) -> None:
        for value in (effect, *values(flow)):
            shown = f"{value!r} {value!s}"
            self.looked_at.add(type(value).__name__)
            for secret in self.secrets:
                assert secret not in shown, type(value)


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize(
    "mechanism",
    [m for m in sasl.MECHANISMS if not m.external and not m.name.startswith("ANON")],
    ids=ident,
)
def test_P16_nothing_that_is_in_use_shows_the_secret(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """Once with the right secret, once with a wrong one."""
    right = CREDENTIALS[mechanism]
    attempts: list[sasl.Credentials] = [right, sasl.PasswordCredentials("alice", CANARY)]
    if isinstance(right, sasl.TokenCredentials):
        attempts = [sasl.TokenCredentials("alice", token) for token in (CANARY, CANARY + "x")]
    world = WatchedWorld(protocol, (CANARY, PASSWORD), directory=Everyone(CANARY))
    for attempt in attempts:

        def client(session: Any, attempt: sasl.Credentials = attempt) -> Flow[None]:
            yield from world.open(session)
            try:
                yield from session.authenticate(attempt, mechanisms=(mechanism,))
            except MailError as error:
                assert_ignorant(error)

        world.run(world.watch(client(world.session())))
    assert {"ServerExchange", "ClientExchange", "Write"} <= world.looked_at


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_P16_nothing_that_is_in_use_shows_the_password_of_a_command(protocol: str) -> None:
    world = WatchedWorld(protocol, (CANARY,))

    def client(session: Any) -> Flow[None]:
        yield from world.open(session)
        for password in (CANARY, CANARY + '"', CANARY + "\u00fc"):
            try:
                if protocol == "imap":
                    yield from session.login("alice", password)
                else:
                    yield from session.call(pop3.User("alice"))
                    yield from session.call(pop3.Pass(password))
            except MailError as error:
                assert_ignorant(error)

    world.run(world.watch(client(world.session())))
    assert {"Login", "Pass"} & world.looked_at


# ----------------------------------------------------------------------------- every exception


def everything_of(error: BaseException | None) -> Iterator[str]:
    """What an exception shows, and those that caused it, hidden ones too."""
    while error is not None:
        yield from (repr(error), str(error), repr(error.args), repr(vars(error)))
        yield from traceback.format_exception(error)
        # What could not be encoded is in the exception that says so.
        yield repr(getattr(error, "object", ""))
        yield from getattr(error, "__notes__", ())
        error = error.__cause__ or error.__context__


def assert_ignorant(error: BaseException) -> None:
    assert CANARY not in "\n".join(everything_of(error))


def imap_client() -> imap.Client:
    client = imap.Client(tls=True)
    client.receive_data(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n")
    client.next_event()
    return client


def pop3_client() -> pop3.Client:
    client = pop3.Client(tls=True, apop=True)
    client.receive_data(b"+OK hi <a@b>\r\n")
    client.next_event()
    return client


def after_user() -> pop3.Client:
    client = pop3_client()
    client.send(pop3.User("alice"))
    client.receive_data(b"+OK\r\n")
    client.next_event()
    return client


def smtp_client() -> smtp.Client:
    client = smtp.Client(tls=True)
    client.receive_data(b"220 hi\r\n")
    client.next_event()
    client.send(smtp.Ehlo("me"))
    client.receive_data(b"250-me\r\n250-CHUNKING\r\n250-BURL imap\r\n250 AUTH PLAIN\r\n")
    client.next_event()
    return client


def chooses(name: str) -> Callable[[str], object]:
    """A client that begins a mechanism."""

    def begin(secret: str) -> object:
        credentials: sasl.Credentials = sasl.PasswordCredentials("alice", secret)
        if "OAUTH" in name:
            credentials = sasl.TokenCredentials("alice", secret)
        return sasl.choose([name], credentials, tls=True).start()

    return begin


USES: Final[dict[str, Callable[[str], object]]] = {
    "IMAP LOGIN": lambda secret: imap_client().send(imap.Login("alice", secret)),
    "IMAP LOGIN in clear": lambda secret: imap.Client().send(imap.Login("alice", secret)),
    "IMAP AUTHENTICATE": lambda secret: imap_client().send(
        imap.Authenticate(secret, secret.encode("utf-8", "surrogatepass"))
    ),
    "IMAP response": lambda secret: imap_client().send(
        imap.AuthenticateResponse(secret.encode("utf-8", "surrogatepass"))
    ),
    "POP3 PASS": lambda secret: after_user().send(pop3.Pass(secret)),
    "POP3 PASS too early": lambda secret: pop3_client().send(pop3.Pass(secret)),
    "POP3 APOP": lambda secret: pop3_client().send(pop3.Apop("alice", secret)),
    "POP3 AUTH": lambda secret: pop3_client().send(
        pop3.Auth("PLAIN!", secret.encode("utf-8", "surrogatepass"))
    ),
    "SMTP AUTH": lambda secret: smtp_client().send(
        smtp.Auth("LOGIN", secret.encode("utf-8", "surrogatepass"))
    ),
    "SMTP response": lambda secret: smtp_client().send(
        smtp.AuthResponse(secret.encode("utf-8", "surrogatepass"))
    ),
    "SMTP BURL": lambda secret: smtp_client().send(
        smtp.Burl(f"imap://a/b;urlauth=submit+a:internal:{secret}", last=True)
    ),
    "a user": lambda secret: Users({"alice": secret}),
    "a user of the options": lambda secret: Users.from_options([f"alice:{secret}"]),
    "an option without a colon": lambda secret: Users.from_options([secret]),
    "keys of SCRAM": lambda secret: sasl.ScramKeys.derive("SCRAM-SHA-256", secret, b"salt"),
    "keys of CRAM-MD5": lambda secret: sasl.CramMD5Keys(secret),
    **{
        mechanism.name: chooses(mechanism.name)
        for mechanism in sasl.MECHANISMS
        if not mechanism.binds and mechanism.name not in ("EXTERNAL", "ANONYMOUS")
    },
}


@pytest.mark.parametrize("bad", ["", "\0", "\ud800", "\x07", "\r\n", "\u00ad\u0627a", "x" * 9000])
@pytest.mark.parametrize("use", USES)
def test_P16_no_exception_shows_the_secret_nor_what_caused_it(use: str, bad: str) -> None:
    for secret in (CANARY + bad, bad + CANARY):
        try:
            USES[use](secret)
        except (MailError, ValueError, TypeError) as error:
            assert_ignorant(error)


# ------------------------------------------------------------------------------- every output

SPEAKING: Final = """
import logging, sys

def test_print():
    print("the password is wonderland")

def test_error_stream():
    sys.stderr.write("d29uZGVybGFuZA AHdvbmRlcmxhbmQ=")

def test_log():
    logging.getLogger("mailproto").debug("%s", "wonderland")

def test_silent():
    print("nothing")
"""


def test_P16_the_output_of_the_whole_run_is_searched(tmp_path: Path) -> None:
    """By tests/conftest.py, as it stands, in a run of its own."""
    conftest = Path(__file__).parents[1] / "conftest.py"
    (tmp_path / "conftest.py").write_bytes(conftest.read_bytes())
    (tmp_path / "test_speaking.py").write_text(SPEAKING, encoding="utf-8")
    options = ("-q", "-p", "no:cacheprovider", "-o", "log_level=DEBUG", f"--rootdir={tmp_path}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        check=False,
    )
    assert "3 failed, 1 passed" in done.stdout, done.stdout
    assert done.stdout.count("P16: a password is in the output") >= 3


@pytest.mark.parametrize("password", ["secret", "hunter2!", "wonder"])
def test_P16_base64_of_a_short_password_is_no_keyword(password: str) -> None:
    """A client that goes on after a refused AUTH LOGIN; POP3 shows no more of what is none."""
    traced: list[bytes] = []
    server = pop3.Server(tls=True, trace=lambda side, line: traced.append(line))
    server.accept()
    encoded = base64.b64encode(password.encode())
    server.receive_data(b"AUTH LOGIN\r\n")
    server.next_event()
    server.accept()
    server.receive_data(encoded + b"\r\n")
    server.next_event()
    assert traced[-1] == b"<hidden>"
