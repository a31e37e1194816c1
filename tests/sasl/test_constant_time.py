"""P26: whatever is compared with a secret is compared by ``hmac.compare_digest``, and by it alone.

Its verdict is replaced: if any other comparison decided too, a wrong secret would not be let in,
or a right one would be.
"""

from __future__ import annotations

import ast
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailproto
from mailproto import sasl
from mailproto.backend.directory import Users
from sasl.realm import pair, settle

USERS = Users({"alice": "secret"}, cram_md5=True)
RIGHT = sasl.PasswordCredentials("alice", "secret")
WRONG = sasl.PasswordCredentials("alice", "wrong")
BY_PASSWORD = (*sasl.PASSWORD_MECHANISMS, sasl.CRAM_MD5)


class Verdict:
    """What ``compare_digest`` says from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, verdict: bool) -> None:
        self.calls = 0
        self._verdict = verdict
        monkeypatch.setattr(hmac, "compare_digest", self._compare)

    def _compare(self, one: object, other: object) -> bool:
        self.calls += 1
        return self._verdict


def server_outcome(mechanism: sasl.Mechanism, credentials: sasl.Credentials) -> sasl.Step:
    """What a server that asks ``USERS`` says to credentials."""
    client, server = pair(mechanism, credentials)
    step = settle(server, server.start(client.start()), USERS)
    while isinstance(step, sasl.Challenge):
        step = settle(server, server.respond(client.respond(step.data)), USERS)
    return step


@pytest.mark.parametrize("mechanism", BY_PASSWORD, ids=lambda mechanism: mechanism.name)
def test_P26_nothing_else_lets_a_wrong_password_fail(
    mechanism: sasl.Mechanism, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_outcome(mechanism, WRONG) == sasl.Failure(sasl.FailureReason.REFUSED)
    verdict = Verdict(monkeypatch, True)
    assert server_outcome(mechanism, WRONG) == sasl.Success("alice", "alice")
    assert verdict.calls


@pytest.mark.parametrize("mechanism", BY_PASSWORD, ids=lambda mechanism: mechanism.name)
def test_P26_nothing_else_lets_a_right_password_in(
    mechanism: sasl.Mechanism, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_outcome(mechanism, RIGHT) == sasl.Success("alice", "alice")
    Verdict(monkeypatch, False)
    assert server_outcome(mechanism, RIGHT) == sasl.Failure(sasl.FailureReason.REFUSED)


@pytest.mark.parametrize("part", ["binding", "nonce"])
def test_P26_nothing_else_compares_the_rest_of_the_final_message(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel binding may be keying material of TLS, and the nonce is random."""
    for verdict in (None, True):
        if verdict is not None:
            Verdict(monkeypatch, verdict)
        one = sasl.tls_exporter(bytes(32))
        other = sasl.tls_exporter(b"x" * 32) if part == "binding" else one
        client, _ = pair(sasl.SCRAM_SHA_256_PLUS, RIGHT, binding=one)
        _, server = pair(sasl.SCRAM_SHA_256_PLUS, RIGHT, binding=other)
        step = settle(server, server.start(client.start()), USERS)
        assert isinstance(step, sasl.Challenge)
        response = client.respond(step.data)
        if part == "nonce":
            response = response.replace(b",r=", b",r=x")
        step = settle(server, server.respond(response), USERS)
        assert isinstance(step, sasl.Challenge) == (verdict is True)


@pytest.mark.parametrize("verdict", [True, False])
def test_P26_P07_nothing_else_proves_the_server(
    verdict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = pair(sasl.SCRAM_SHA_256, RIGHT)
    step = settle(server, server.start(client.start()), USERS)
    assert isinstance(step, sasl.Challenge)
    step = settle(server, server.respond(client.respond(step.data)), USERS)
    assert isinstance(step, sasl.Challenge)
    Verdict(monkeypatch, verdict)
    if verdict:
        assert client.respond(b"v=AAAA") == b""
        client.succeed()
    else:
        with pytest.raises(sasl.ServerNotProven):
            client.respond(step.data)


SECRET = frozenset(
    {
        "client_key",
        "digest",
        "expected",
        "hexdigest",
        "password",
        "proof",
        "secret",
        "server_key",
        "signature",
        "stored_key",
        "token",
    }
)
PACKAGE = Path(mailproto.__file__).parent
SOURCES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("testing", "cli")
]


def comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every use of ``==``, ``!=`` or ``in`` on something that is called a secret; line and name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops
        ):
            for operand in (node.left, *node.comparators):
                function = operand.func if isinstance(operand, ast.Call) else operand
                name = getattr(function, "attr", getattr(function, "id", ""))
                if name in SECRET:
                    yield node.lineno, name


def test_P26_secrets_are_compared_with_no_operator() -> None:
    found = [
        (path.name, *comparison)
        for path in SOURCES
        for comparison in comparisons(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["keys.digest(x) == y", "a != self.stored_key", "token in tokens", "hmac.digest(a, b, c) == d"],
)
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert list(comparisons(ast.parse(line)))
