"""The two facades are one interface, and nothing that is given to it leaves its place (P04)."""

from __future__ import annotations

import ast
import collections.abc
import datetime
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from mailproto import imap, pop3, sasl, smtp
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.errors import LocalProtocolError, MailError, StoreError
from mailproto.flows.effects import Call, Deadline, Flow, Read, StartTLS, Wakeup, Write
from mailproto.flows.services import Services
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_handler import Handler
from mailproto.flows.smtp_listening import ServerOptions
from mailproto.flows.smtp_server import Context

MODULES = ["smtp", "imap", "pop3", "connecting", "relaying", "resolving"]
PROTOCOLS = ["smtp", "imap", "pop3"]
FACADES = ["sync", "aio"]


# ------------------------------------------------------------------------- the same interface


class _WithoutAsync(ast.NodeTransformer):
    """``async def``, ``await`` and ``async with`` become what they are in the other facade."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        fields = dict(ast.iter_fields(node))
        # What lets ``async with`` be said without ``await``.
        fields["decorator_list"] = [
            d for d in node.decorator_list if ast.unparse(d) != "connecting.opening"
        ]
        return ast.fix_missing_locations(self.generic_visit(ast.FunctionDef(**fields)))

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name({"AsyncIterator": "Iterator"}.get(node.id, node.id), node.ctx)


SAME_BY_ANOTHER_NAME = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}


def interface(facade: str, module: str) -> dict[str, str]:
    """Every public function and method with its signature, without ``async``."""
    loaded = importlib.import_module(f"mailproto.{facade}.{module}")
    assert loaded.__file__ is not None
    tree = _WithoutAsync().visit(ast.parse(Path(loaded.__file__).read_text(encoding="utf-8")))
    found: dict[str, str] = {}
    for node in tree.body:
        private = isinstance(node, ast.FunctionDef) and node.name.startswith(("_", "opening"))
        if isinstance(node, ast.FunctionDef) and not private:
            found[node.name] = _signature(node)
        if isinstance(node, ast.ClassDef) and node.name != "Opening":
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    name = SAME_BY_ANOTHER_NAME.get(method.name, method.name)
                    if not name.startswith("_") or name.endswith("__"):
                        found[f"{node.name}.{name}"] = _signature(method)
    return found


def _signature(node: ast.FunctionDef) -> str:
    returns = "" if node.returns is None else ast.unparse(node.returns)
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return f"{decorators} ({ast.unparse(node.args)}) -> {returns}"


@pytest.mark.parametrize("module", [*MODULES, "server"])
def test_both_facades_have_the_same_interface(module: str) -> None:
    one, other = interface("sync", module), interface("aio", module)
    if module == "server":
        for found in (one, other):
            for name in list(found):
                if not name.startswith("Server."):
                    del found[name]
    assert one == other
    assert one


def bodies(facade: str, module: str) -> dict[str, str]:
    """What every public function and method does, without ``await`` and docstrings."""
    loaded = importlib.import_module(f"mailproto.{facade}.{module}")
    assert loaded.__file__ is not None
    tree = _WithoutAsync().visit(ast.parse(Path(loaded.__file__).read_text(encoding="utf-8")))
    functions = [
        (f"{getattr(parent, 'name', '')}.{node.name}", node)
        for parent in [tree, *tree.body]
        for node in getattr(parent, "body", [])
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    return {
        name: "\n".join(ast.unparse(line) for line in node.body[bool(ast.get_docstring(node)) :])
        for name, node in functions
    }


@pytest.mark.parametrize("module", [*PROTOCOLS, "relaying"])
def test_both_facades_do_the_same(module: str) -> None:
    """An argument that one of them does not hand on is seen here."""
    one, other = bodies("sync", module), bodies("aio", module)
    for found in (one, other):
        for name in list(found):
            # How an IDLE is ended, and what the world of a relay is.
            if name == "Client.idle" or name.startswith("_Network."):
                del found[name]
    assert one == other
    assert one


@pytest.mark.parametrize("facade", FACADES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_public_name_has_a_docstring(facade: str, protocol: str) -> None:
    module = importlib.import_module(f"mailproto.{facade}.{protocol}")
    assert module.connect.__doc__
    for name, method in inspect.getmembers(module.Client):
        if not name.startswith("_"):
            assert inspect.getdoc(method), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_flow_of_a_session_can_be_reached(protocol: str) -> None:
    """A method of the client, or ``client.run(client.session.method())``."""
    module = importlib.import_module(f"mailproto.sync.{protocol}")
    session = importlib.import_module(f"mailproto.flows.{protocol}_client").Session
    flows = {name for name, _ in inspect.getmembers(session, inspect.isgeneratorfunction)}
    public = {name for name in flows if not name.startswith("_")}
    opening = {"begin", "starttls", "start_tls", "greeting", "greet"}
    opening |= {"sign_in", "logout", "content", "close"}
    # What flows are made of.
    opening |= {"arm", "chunk", "event", "reply", "write_content"}
    assert public - opening <= set(dir(module.Client))


def test_every_field_of_a_context_can_be_set_by_serve() -> None:
    """Whoever adds one to the SMTP server adds it to ``ServerOptions``, which both facades take."""
    fields = {field.name for field in attrs.fields(Context)}
    options = typing.get_type_hints(ServerOptions)
    assert set(options) == fields - {"handler", "shutdown"}
    hints = typing.get_type_hints(Context)
    assert {name: hints[name] for name in options} == options


def test_every_option_of_a_server_machine_is_set_by_the_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: set[str] = set()

    def machine(hostname: str, **options: object) -> None:
        given.update(options, ["hostname"])

    monkeypatch.setattr("mailproto.flows.smtp_server.Server", machine)
    Context(handler=typing.cast("Any", Handler), shutdown=Shutdown()).machine()
    assert given == set(inspect.signature(smtp.Server).parameters)


# ------------------------------------------------------------------------- nothing leaves its place


class Recorder:
    """A driver over a server in memory that keeps every octet the client says."""

    local_address = "127.0.0.1"

    def __init__(self, protocol: str) -> None:
        store = MemoryStore()
        for content in (b"Subject: one\r\n\r\nfirst\r\n", b"Subject: two\r\n\r\nsecond\r\n"):
            draft = store.draft()
            draft.write(content)
            store.deliver(draft, {"alice": b""})
        store.account("alice").create("Archive")
        offer = smtp.Offer(etrn=True, atrn=True)
        services = Services(store, USERS, allow_insecure_auth=True, smtp_offer=offer)
        name = "submission" if protocol == "smtp" else protocol
        self._server = services.sessions(name)(Peer("127.0.0.1", 1, "127.0.0.1", 2))
        self._inbox = b""
        self.said = b""
        self.closed = False
        self._ended = False
        self._serve(None)

    def _serve(self, value: object) -> None:
        """Go on with the server until it wants to read."""
        try:
            effect = self._server.send(value)
            while not isinstance(effect, Read) or (effect.wakeup and effect.wakeup.is_set):
                result: object = None
                if isinstance(effect, Read):
                    assert effect.wakeup is not None
                    effect.wakeup.is_set = False
                elif isinstance(effect, Write):
                    self._inbox += effect.data
                elif isinstance(effect, Call):
                    try:
                        result = effect.function()
                    except StoreError as error:
                        effect = self._server.throw(error)
                        continue
                effect = self._server.send(result)
        except StopIteration:
            self._ended = True

    def run_now(self, flow: Flow[Any]) -> Any:
        """What ``Driver.run`` does, without a transport."""
        result: object = None
        try:
            while True:
                effect = flow.send(result)
                result = None
                match effect:
                    case Write(data):
                        self.said += data
                        if not self._ended:
                            self._serve(data)
                    case Read(wakeup):
                        if wakeup is not None and wakeup.is_set:
                            wakeup.is_set = False
                        else:
                            assert self._inbox or self._ended, "the client waits for ever"
                            result, self._inbox = self._inbox, b""
                    case Call(function):
                        result = function()
                    case Deadline():
                        pass
                    case StartTLS():
                        raise AssertionError("no TLS here")
                    case _:
                        self.closed = True
        except StopIteration as stop:
            return stop.value

    def run(self, flow: Flow[Any]) -> Any:
        return self.run_now(flow)

    def close(self) -> None:
        self.closed = True

    abort = close


class AsyncRecorder(Recorder):
    """The same for ``aio``."""

    async def run(self, flow: Flow[Any]) -> Any:
        return self.run_now(flow)

    async def wait_closed(self) -> None:
        return


USERS = Users({"alice": "wonderland"})
LOGIN = ("alice", "wonderland")
HOSTILE = [
    "x\r\nNOOP",
    "x\nNOOP",
    "x\rNOOP",
    "\r\n",
    "\n",
    "\0",
    "x\0y",
    "\x0b",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029x",
    "\ud800",
    "\udcff",
    "x> SIZE=1",
    'x" "y',
    "x\\",
    "{5}",
    "{5+}\r\nhello",
    "~{5}\r\nhello",
    ") x (",
    "* %",
    "+",
    ".",
    "\r\n.\r\n",
    "",
    " ",
    "=?utf-8?q?=0d=0a?=",
    "\U0001f600",
    "x" * 3000,
]


class Forgetful:
    """Where a download goes: nowhere."""

    def kept(self) -> dict[str, float]:
        return {}

    def begin(self, unique_id: str, now: float) -> Forgetful:
        return self

    def forget(self, unique_ids: object) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def keep(self) -> None:
        pass

    discard = keep


# What the other arguments are while one of them is hostile.
ORDINARY: dict[str, Any] = {
    "content": b"Subject: x\r\n\r\ny\r\n",
    "reverse_path": "alice@localhost",
    "forward_paths": ["alice@localhost"],
    "text": "alice",
    "mailbox": "INBOX",
    "new_name": "Renamed",
    "reference": "",
    "pattern": "*",
    "message": b"Subject: x\r\n\r\ny\r\n",
    "messages": "1:*",
    "items": imap.FetchAtt.FLAGS,
    "keys": imap.SearchFlag.ALL,
    "action": imap.StoreAction.ADD,
    "flags": ["$Label"],
    "parameters": [("name", "x")],
    "capabilities": "X",
    "user": "alice",
    "password": "wonderland",
    "on_event": lambda event: None,
    "take": lambda piece: None,
}
ORDINARY_OF: dict[str, dict[str, Any]] = {
    "smtp": {"parameters": ()},
    "smtp.etrn": {"node": "example.com"},
    "smtp.atrn": {"handler": lambda origin: None, "domains": ["example.com"]},
    "pop3": {"message": 1, "lines": 1, "arrivals": Forgetful()},
    "imap.status": {"items": tuple(imap.StatusItem)},
    "imap.create": {"mailbox": "New"},
    "imap.delete": {"mailbox": "Archive"},
    "imap.rename": {"mailbox": "Archive"},
    "imap.copy": {"mailbox": "Archive"},
    "imap.move": {"mailbox": "Archive"},
}
COMMANDS: dict[str, Any] = {"smtp": smtp.Noop(), "imap": imap.Noop(), "pop3": pop3.Noop()}
NEEDS_A_MAILBOX = {"fetch", "search", "store", "copy", "move", "expunge", "check", "close_mailbox"}
NEEDS_A_MAILBOX |= {"unselect"}
# Their arguments are no text of a command: they are read, called, or tried on their own.
NOT_CALLED = {"run", "closed", "close", "apop", "idle", "use_utf8", "login", "authenticate"}


def hostile_values(annotation: object) -> Iterator[Any]:
    """Every hostile text, in the shapes that an annotation allows."""
    shapes = list(_shapes(annotation))
    for text in HOSTILE:
        for shape in shapes:
            try:
                yield shape(text)
            except UnicodeEncodeError:
                continue


def _shapes(annotation: object) -> Iterator[Callable[[str], Any]]:
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if annotation is str:
        yield lambda text: text
    elif annotation is bytes:
        yield lambda text: text.encode("utf-8")
    elif annotation is imap.MailboxName:
        yield lambda text: imap.MailboxName(text.encode())
    elif annotation is smtp.Rcpt:
        yield lambda text: smtp.Rcpt(smtp.Mailbox(text, "localhost"))
        yield lambda text: smtp.Rcpt(smtp.Mailbox("alice", text))
        yield lambda text: smtp.Rcpt(
            smtp.Mailbox("alice", "localhost"), (smtp.Parameter("X", text),)
        )
    elif annotation is smtp.Mail:
        yield lambda text: smtp.Mail(smtp.Mailbox(text, "localhost"))
        yield lambda text: smtp.Mail(smtp.NULL_PATH, parameters=(smtp.Parameter("X", text),))
    elif annotation is smtp.Parameter:
        yield lambda text: smtp.Parameter(text, "x")
        yield lambda text: smtp.Parameter("X", text)
    elif annotation is smtp.Mailbox:
        yield lambda text: smtp.Mailbox(text, "localhost")
        yield lambda text: smtp.Mailbox("alice", text)
    elif origin is tuple and arguments and arguments[-1] is not Ellipsis:
        for position, argument in enumerate(arguments):
            for shape in _shapes(argument):
                yield _in_tuple(position, len(arguments), shape)
    elif origin in (collections.abc.Iterable, tuple):
        for shape in _shapes(arguments[0]):
            yield _in_sequence(shape)
    elif arguments:
        for argument in arguments:
            yield from _shapes(argument)


def _in_sequence(shape: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: (shape(text),)


def _in_tuple(position: int, size: int, shape: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: tuple(shape(text) if n == position else "x" for n in range(size))


LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")


def verbs(protocol: str, said: bytes) -> list[bytes]:
    """The first word of every command in ``said``: a second reading, by lines and literals."""
    assert said.endswith(b"\r\n") or not said
    found: list[bytes] = []
    position = 0
    while position < len(said):
        line = said[position : said.index(b"\r\n", position)]
        found.append(line)
        position += len(line) + 2
        if protocol == "smtp" and line == b"DATA":
            end = said.find(b"\r\n.\r\n", position - 2) + 5
            position = end if end > 4 else len(said)
        elif protocol == "smtp" and line.startswith(b"BDAT "):
            position += int(line.split(b" ")[1])
            assert position <= len(said), "a chunk has fewer octets than announced"
    return found


def imap_commands(said: bytes) -> list[bytes]:
    """The same for IMAP, where literals are no lines."""
    found: list[bytes] = []
    position = 0
    while position < len(said):
        command = b""
        while True:
            end = said.index(b"\r\n", position) + 2
            command += said[position:end]
            position = end
            literal = LITERAL.search(command)
            if literal is None:
                break
            position += int(literal[1])
            assert position <= len(said), "a literal has fewer octets than announced"
        assert re.search(rb"[\r\n\0]", command[:-2].replace(b"}\r\n", b"")) is None
        found.append(command.split(b" ", 1)[1].strip())
    return found


def first_words(protocol: str, said: bytes) -> list[bytes]:
    """The verbs of all commands; UID belongs to its verb."""
    lines = imap_commands(said) if protocol == "imap" else verbs(protocol, said)
    for line in lines:
        assert re.search(rb"[\r\n\0]", line.replace(b"}\r\n", b"")) is None
    words = [re.match(rb"(?:UID )?[A-Z]*", line.upper())[0] for line in lines]  # type: ignore[index]
    # Whether content goes by BDAT or DATA depends on its size.
    return [b"DATA" if word == b"BDAT" and protocol == "smtp" else word for word in words]


def clients(facade: str, protocol: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``connect`` of a facade, to a server in memory; the client and its recorder."""
    module = importlib.import_module(f"mailproto.{facade}.{protocol}")
    made: list[Recorder] = []

    def dial(*_: object, **__: object) -> Any:
        made.append(Recorder(protocol) if facade == "sync" else AsyncRecorder(protocol))
        if facade == "sync":
            return made[-1]
        return _value(made[-1])

    monkeypatch.setattr(f"mailproto.{facade}.connecting.dial", dial)

    def connect(**options: Any) -> tuple[Any, Recorder]:
        options = {"tls": "none", "login": LOGIN, "allow_insecure_auth": True, **options}
        try:
            client = settle(module.connect(**options))
        except BaseException as error:
            error.recorder = made[-1]  # type: ignore[attr-defined]
            raise
        return client, made[-1]

    return connect


async def _value(value: object) -> object:
    return value


def settle(result: Any) -> Any:
    """The result, or that of the coroutine."""
    if not isinstance(result, collections.abc.Coroutine):
        return result
    try:
        result.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waits for something")


def methods() -> Iterator[tuple[str, str]]:
    for protocol in PROTOCOLS:
        module = importlib.import_module(f"mailproto.sync.{protocol}")
        for name, _ in inspect.getmembers(module.Client, inspect.isfunction):
            if not name.startswith("_") and name not in NOT_CALLED:
                yield protocol, name


def ordinary(protocol: str, name: str, parameter: str) -> Any:
    if parameter == "command":
        return COMMANDS[protocol]
    for key in (f"{protocol}.{name}", protocol):
        if parameter in ORDINARY_OF.get(key, {}):
            return ORDINARY_OF[key][parameter]
    return ORDINARY[parameter]


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations as objects, those of ``self`` and the like left out."""
    names = {**vars(inspect.getmodule(function)), "datetime": datetime}
    return typing.get_type_hints(inspect.unwrap(function), globalns=names)


@pytest.mark.parametrize("facade", FACADES)
@pytest.mark.parametrize(("protocol", "name"), list(methods()))
def test_P04_no_argument_of_a_method_leaves_its_field(
    facade: str, protocol: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = clients(facade, protocol, monkeypatch)
    module = importlib.import_module(f"mailproto.{facade}.{protocol}")
    function = getattr(module.Client, name)
    parameters = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.name != "self" and p.kind is not p.VAR_KEYWORD
    ]
    annotations = hints_of(function)
    given = {
        p.name: ordinary(protocol, name, p.name)
        for p in parameters
        if p.default is p.empty or p.name in ("reverse_path", "forward_paths", "flags")
    }

    client, recorder = connect()

    def call(arguments: dict[str, Any]) -> tuple[list[bytes], Exception | None]:
        nonlocal client, recorder
        if client.closed:
            client, recorder = connect()
        if name in NEEDS_A_MAILBOX and client.mailbox is None:
            settle(client.select("INBOX"))
        before = len(recorder.said)
        positional = [arguments[p.name] for p in parameters if p.kind is p.VAR_POSITIONAL]
        keywords = {k: v for k, v in arguments.items() if [v] != positional}
        error: Exception | None = None
        try:
            settle(getattr(client, name)(*positional, **keywords))
        except (MailError, ValueError, TypeError) as caught:
            error = caught
        return first_words(protocol, recorder.said[before:]), error

    expected, error = call(given)
    assert error is None or not isinstance(error, LocalProtocolError), error
    assert expected or name == "capabilities"
    for parameter in parameters:
        for value in hostile_values(annotations[parameter.name]):
            said, error = call({**given, parameter.name: value})
            # A refusal by the server may end a transaction early, and have it reset.
            allowed = [*expected, b"RSET"] if protocol == "smtp" else expected
            if name == "call" and isinstance(value, smtp.Mail | smtp.Rcpt):
                allowed = [type(value).__name__.upper().encode()]
            it = iter(allowed)
            assert all(verb in it for verb in said), (parameter.name, value, said, expected)
            if parameter.name == "content" and client.closed:
                # A piece that cannot be sent is found when others are out: that ends it.
                assert b"\r\n.\r\n" not in recorder.said.rpartition(b"DATA")[2]
            elif isinstance(error, LocalProtocolError | ValueError | TypeError):
                assert not said, (parameter.name, value, said, error)


@pytest.mark.parametrize("facade", FACADES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_P04_no_argument_of_connect_leaves_its_field(
    facade: str, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = clients(facade, protocol, monkeypatch)
    logins = [login for text in HOSTILE for login in ((text, "wonderland"), ("alice", text))]
    cases: list[dict[str, Any]] = [{"login": login} for login in logins]
    if protocol == "smtp":
        cases += [{"domain": text} for text in HOSTILE]
    sayings: list[tuple[dict[str, Any], bytes]] = []
    for options in cases:
        try:
            _, recorder = connect(**options)
        except (MailError, ValueError) as error:
            recorder = error.recorder  # type: ignore[union-attr]
        sayings.append((options, recorder.said))
    for user, password in logins:
        for credentials in (None, sasl.PasswordCredentials(user, password, user)):
            client, recorder = connect(login=None)
            with suppress(MailError, ValueError):
                if credentials is None:
                    settle(client.login(user, password))
                else:
                    settle(client.authenticate(credentials))
            sayings.append(({"login": (user, password)}, recorder.said))
    for options, said in sayings:
        # The lines of a SASL exchange are base64, and "*" cancels it.
        lines = imap_commands_or_responses(said) if protocol == "imap" else said.split(b"\r\n")
        for line in lines:
            assert re.search(rb"[\r\n\0]", line) is None, (options, said)
            assert re.match(
                rb"(?:[A-Z0-9]+ )?(?:EHLO|AUTH|CAPA|CAPABILITY|AUTHENTICATE|USER|PASS|LOGIN)\b"
                rb"|[A-Za-z0-9+/]*={0,2}\Z|\*\Z",
                line,
            ), (options, line)


def imap_commands_or_responses(said: bytes) -> list[bytes]:
    return re.sub(rb"\{[0-9]+\+?\}\r\n", b"", said).split(b"\r\n")


def test_P04_wakeups_and_callables_are_the_only_other_arguments() -> None:
    """Methods that the introspection leaves out take no text, or are tried elsewhere."""
    for protocol in PROTOCOLS:
        module = importlib.import_module(f"mailproto.sync.{protocol}")
        for name in NOT_CALLED - {"apop", "run", "login", "authenticate"}:
            function = inspect.getattr_static(module.Client, name, None)
            if not inspect.isfunction(function):
                continue
            for annotation in hints_of(function).values():
                assert annotation is Wakeup or not list(_shapes(annotation)), name


def test_P04_apop_writes_its_arguments_or_refuses() -> None:
    for text in HOSTILE:
        machine = pop3.Client(apop=True)
        machine.receive_data(b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n")
        machine.next_event()
        try:
            machine.send(pop3.Apop(text, "c4c9334bac560ecc979e58001b3e22fb"))
        except (LocalProtocolError, ValueError):
            assert machine.data_to_send() == b""
        else:
            line = machine.data_to_send()
            assert re.fullmatch(rb"APOP [^\r\n\0]+ [0-9a-f]{32}\r\n", line)
