"""The arrows of docs/architecture.md, executed: who imports whom, what the pure part never does.

The tables below are the truth; the functions read every file of src/mailproto as syntax trees and
compare. Each rule is also shown to fail on a small tree that breaks it, so none can pass idly.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "mailproto"
SOURCE = Path(__file__).parent.parent / "src" / PACKAGE

PROTOCOLS = frozenset({"smtp", "pop3", "imap"})
BELOW_FLOWS = frozenset({"errors", "_core", "sasl", "message", "proxy", *PROTOCOLS})
CONVERSATIONS = BELOW_FLOWS | {"backend", "flows"}

# component -> the components it may import (itself always). Not listed: a failure.
ALLOWED: Mapping[str, frozenset[str]] = {
    "__init__": frozenset({"errors", "_core"}),
    "errors": frozenset(),
    "_core": frozenset({"errors"}),
    "sasl": frozenset({"errors", "_core"}),
    "smtp": frozenset({"errors", "_core", "sasl"}),
    "pop3": frozenset({"errors", "_core", "sasl"}),
    "imap": frozenset({"errors", "_core", "sasl"}),
    "message": frozenset({"errors", "_core"}),
    "proxy": frozenset({"errors", "_core"}),
    "backend": frozenset({"errors", "_core", "message", "sasl"}),
    "flows": BELOW_FLOWS | {"backend"},
    "sync": CONVERSATIONS,
    "aio": CONVERSATIONS,
    "testing": CONVERSATIONS | {"sync", "aio", "cli"},
    "cli": CONVERSATIONS | {"sync", "aio", "__init__"},
    "__main__": frozenset({"cli"}),
}

# Modules that know neither socket nor clock, thread, chance, log or operating system.
PURE = BELOW_FLOWS | {"__init__"}
PURE_MODULES = frozenset({"backend.store", "backend.__init__"})
IMPURE_STDLIB = frozenset(
    {
        "asyncio", "concurrent", "logging", "multiprocessing", "os", "pathlib", "queue", "random",
        "select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl",
        "subprocess", "tempfile", "threading", "time", "imaplib", "poplib", "smtplib",
    }
)  # fmt: skip

RUNTIME_DEPENDENCIES: Mapping[str, frozenset[str]] = {
    # component -> third-party modules; everything may use attrs and typing_extensions
    "cli": frozenset({"cryptography"}),
    "sync": frozenset({"dns"}),
    "aio": frozenset({"dns"}),
    "testing": frozenset({"hypothesis", "pytest"}),
}
EVERYWHERE = frozenset({"attr", "attrs", "typing_extensions"})

# Lenient readers of wire text. Strict ones live in _core/strict.py, which alone may call these.
LENIENT_METHODS = frozenset(
    {"isdigit", "isdecimal", "isnumeric", "splitlines", "b64decode", "a2b_base64"}
)
STRICT_MODULE = "_core.strict"

LONGEST_FILE = 700


@dataclass(frozen=True)
class Import:
    """One imported module, as written in one place."""

    importer: str
    """Dotted name below the package: `smtp.client`, `smtp.__init__`, `errors`."""
    imported: str
    """Full dotted name: `mailproto.errors`, `ssl`."""
    line: int
    typing_only: bool

    @property
    def inside(self) -> str | None:
        """The imported module's name below the package, or None for a foreign module."""
        if self.imported == PACKAGE:
            return "__init__"
        prefix = PACKAGE + "."
        return self.imported[len(prefix) :] if self.imported.startswith(prefix) else None

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


Tree = Mapping[str, ast.Module]


def read_tree() -> dict[str, ast.Module]:
    """Parse every module of the package, keyed by its dotted name below the package."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8"), str(path)
        )
        for path in sorted(SOURCE.rglob("*.py"))
    }


def component(module: str) -> str:
    return module.partition(".")[0]


def canonical(module: str, tree: Tree) -> str:
    """The file that a dotted name lives in: `smtp` is `smtp.__init__`, `smtp.x.Y` is `smtp.x`."""
    while module:
        if module in tree:
            return module
        if f"{module}.__init__" in tree:
            return f"{module}.__init__"
        module = module.rpartition(".")[0]
    return "__init__"


def is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and (
        (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
        or (isinstance(node.test, ast.Attribute) and node.test.attr == "TYPE_CHECKING")
    )


def imports_of(module: str, root: ast.Module) -> Iterator[Import]:
    """Yield every import statement of a file, those inside functions and guards included."""
    pending: list[tuple[ast.AST, bool]] = [(root, False)]
    while pending:
        node, typing_only = pending.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, typing_only)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([PACKAGE, *package]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield Import(module, f"{source}.{alias.name}", node.lineno, typing_only)
        elif isinstance(node, ast.If) and is_typing_guard(node):
            pending += [(child, True) for child in node.body]
            pending += [(child, typing_only) for child in node.orelse]
        else:
            pending += [(child, typing_only) for child in ast.iter_child_nodes(node)]


def all_imports(tree: Tree) -> list[Import]:
    return [found for module, root in tree.items() for found in imports_of(module, root)]


def forbidden_arrows(tree: Tree) -> list[str]:
    """Imports between components that the table does not allow."""
    problems = [
        f"{name} is in no layer" for name in sorted({component(m) for m in tree} - ALLOWED.keys())
    ]
    for found in all_imports(tree):
        if found.inside is None:
            continue
        source, target = component(found.importer), component(canonical(found.inside, tree))
        if source != target and target not in ALLOWED.get(source, frozenset()):
            problems.append(str(found))
    return problems


def impurities(tree: Tree) -> list[str]:
    """Imports of sockets, clocks and the like in modules that must be pure."""
    return [
        str(found)
        for found in all_imports(tree)
        if (component(found.importer) in PURE or found.importer in PURE_MODULES)
        and component(found.imported) in IMPURE_STDLIB
    ]


def foreign_imports(tree: Tree, stdlib: frozenset[str]) -> list[str]:
    """Imports of packages that the component may not depend on."""
    return [
        str(found)
        for found in all_imports(tree)
        if found.inside is None
        and (top := component(found.imported)) not in stdlib
        and top not in EVERYWHERE
        and top not in RUNTIME_DEPENDENCIES.get(component(found.importer), frozenset())
    ]


def runtime_graph(tree: Tree) -> dict[str, set[str]]:
    """Who imports whom at run time, file by file."""
    graph: dict[str, set[str]] = {module: set() for module in tree}
    for found in all_imports(tree):
        if found.inside is not None and not found.typing_only:
            target = canonical(found.inside, tree)
            if target != found.importer:
                graph[found.importer].add(target)
    # The bare package is always being imported already; it imports nothing (see ALLOWED).
    for targets in graph.values():
        targets.discard("__init__")
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Circles in a graph, each named once by the path that closes it."""
    found: list[str] = []
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> None:
        if node in path:
            found.append(" -> ".join([*path[path.index(node) :], node]))
        elif node not in done:
            for target in sorted(graph[node]):
                walk(target, [*path, node])
            done.add(node)

    for start in sorted(graph):
        walk(start, [])
    return found


def reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = [start]
    while pending:
        for target in graph[pending.pop()] - seen:
            seen.add(target)
            pending.append(target)
    return seen


def clients_on_servers(tree: Tree) -> list[str]:
    """Client modules from which a server module can be reached, and the reverse."""
    graph = runtime_graph(tree)
    pairs = (("client", "server"), ("server", "client"))
    return [
        f"{module} reaches {other}"
        for mine, theirs in pairs
        for module in tree
        if component(module) in PROTOCOLS and module.rpartition(".")[2] == mine
        for other in sorted(reachable(module, graph))
        if other == f"{component(module)}.{theirs}"
    ]


def lenient_calls(tree: Tree) -> list[str]:
    """Calls in the pure part of functions that accept more than the wire format does."""
    return [
        f"{module}:{node.lineno} calls {node.attr}"
        for module, root in tree.items()
        if component(module) in PURE and module != STRICT_MODULE
        for node in ast.walk(root)
        if isinstance(node, ast.Attribute) and node.attr in LENIENT_METHODS
    ]


# ------------------------------------------------------------------------------ the rules hold


@pytest.fixture(scope="module")
def tree() -> dict[str, ast.Module]:
    return read_tree()


def test_P23_imports_follow_the_arrows(tree: Tree) -> None:
    assert forbidden_arrows(tree) == []


def test_P23_pure_modules_touch_no_socket_clock_or_thread(tree: Tree) -> None:
    assert impurities(tree) == []


def test_P23_dependencies_are_the_declared_ones(tree: Tree) -> None:
    import sys

    assert foreign_imports(tree, frozenset(sys.stdlib_module_names)) == []


def test_P23_no_circles(tree: Tree) -> None:
    assert circles(runtime_graph(tree)) == []


def test_P23_client_and_server_are_independent(tree: Tree) -> None:
    assert clients_on_servers(tree) == []


def test_nothing_imports_testing(tree: Tree) -> None:
    assert [
        str(found)
        for found in all_imports(tree)
        if found.inside is not None
        and component(canonical(found.inside, tree)) == "testing"
        and component(found.importer) != "testing"
    ] == []


def test_P17_lenient_readers_are_used_only_by_the_strict_module(tree: Tree) -> None:
    assert lenient_calls(tree) == []


def test_every_module_states_its_rule(tree: Tree) -> None:
    assert [module for module, root in tree.items() if not ast.get_docstring(root)] == []


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").split("\n"))
        for path in SOURCE.rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


# ------------------------------------------------------------------------- the rules can fail


def small_tree(**files: str) -> dict[str, ast.Module]:
    return {name.replace("__in__", "."): ast.parse(text) for name, text in files.items()}


@pytest.mark.parametrize(
    "files",
    [
        {"smtp__in__client": "from mailproto.imap import types", "imap__in__types": ""},
        {"smtp__in__client": "from mailproto import imap", "imap__in__types": ""},
        {"smtp__in__client": "def f():\n    import mailproto.flows", "flows__in__x": ""},
        {
            "errors": "if TYPE_CHECKING:\n    from mailproto._core import abnf",
            "_core__in__abnf": "",
        },
        {"smtp__in__a": "from ..imap import types", "imap__in__types": ""},
        {"cli": "import mailproto.testing.chop", "testing__in__chop": ""},
        {"surprise": ""},
    ],
)
def test_a_wrong_arrow_is_seen(files: dict[str, str]) -> None:
    assert len(forbidden_arrows(small_tree(**files))) == 1


def test_a_right_arrow_is_not_reported() -> None:
    files = {"smtp__in__client": "from mailproto.errors import X", "errors": ""}
    assert forbidden_arrows(small_tree(**files)) == []


@pytest.mark.parametrize(
    "text", ["import time", "from os import path", "def f():\n    import ssl", "import os.path"]
)
def test_an_impurity_is_seen(text: str) -> None:
    assert len(impurities(small_tree(smtp__in__client=text))) == 1
    assert impurities(small_tree(flows__in__client=text)) == []


def test_a_foreign_package_is_seen() -> None:
    assert foreign_imports(small_tree(smtp__in__a="import idna"), frozenset()) != []
    assert foreign_imports(small_tree(smtp__in__a="import attrs"), frozenset()) == []


def test_a_circle_is_seen() -> None:
    files = {
        "smtp__in__a": "from mailproto.smtp import b",
        "smtp__in__b": "from mailproto.smtp import c",
        "smtp__in__c": "def f():\n    from mailproto.smtp.a import thing",
    }
    assert circles(runtime_graph(small_tree(**files))) == ["smtp.a -> smtp.b -> smtp.c -> smtp.a"]
    files["smtp__in__c"] = "if TYPE_CHECKING:\n    from mailproto.smtp.a import thing"
    assert circles(runtime_graph(small_tree(**files))) == []


def test_a_client_on_its_server_is_seen() -> None:
    files = {
        "pop3__in__client": "from mailproto.pop3 import shared",
        "pop3__in__shared": "from mailproto.pop3.server import Server",
        "pop3__in__server": "",
    }
    assert clients_on_servers(small_tree(**files)) == ["pop3.client reaches pop3.server"]


def test_a_lenient_reader_is_seen() -> None:
    assert len(lenient_calls(small_tree(smtp__in__a="x.isdigit()"))) == 1
    assert len(lenient_calls(small_tree(smtp__in__a="base64.b64decode(x)"))) == 1
    assert lenient_calls(small_tree(_core__in__strict="base64.b64decode(x)")) == []
