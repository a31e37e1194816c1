"""What a user of the installed package sees: exports, types marker, and what an import loads."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mailproto

ROOT = Path(__file__).parent.parent
PROTOCOLS = {"smtp", "pop3", "imap"}
HEAVY = {"ssl", "asyncio", "socket", "logging", "hypothesis", "cryptography", "email"}


def public_packages() -> list[str]:
    """The package and those below it that a user may import by name (no leading underscore)."""
    below = [f"mailproto.{found.name}" for found in pkgutil.iter_modules(mailproto.__path__)]
    return ["mailproto", *(name for name in below if "._" not in name)]


def modules_after(statement: str) -> set[str]:
    """The names in sys.modules of a fresh interpreter after one statement, minus a bare one's."""
    program = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def loaded_components(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("mailproto.")}


# --------------------------------------------------------------------------------- exports


@pytest.mark.parametrize("name", public_packages())
def test_exports_exist_and_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    exports = getattr(module, "__all__", None)
    if exports is None:
        public = {
            key
            for key, value in vars(module).items()
            if not key.startswith("_") and not inspect.ismodule(value)
        }
        assert public <= {"annotations", "main"}, f"{name} has public names but no __all__"
        return
    assert len(set(exports)) == len(exports), f"{name}.__all__ names something twice"
    missing = [key for key in exports if not hasattr(module, key)]
    assert missing == []
    undocumented = [
        key
        for key in exports
        if (inspect.isclass(value := getattr(module, key)) or inspect.isroutine(value))
        and not inspect.getdoc(value)
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", public_packages())
def test_public_methods_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    undocumented = [
        f"{key}.{attribute}"
        for key in getattr(module, "__all__", ())
        if inspect.isclass(owner := getattr(module, key))
        for attribute, value in vars(owner).items()
        if not attribute.startswith("_")
        and isinstance(value, property | classmethod | staticmethod | type(public_packages))
        and not inspect.getdoc(getattr(owner, attribute))
    ]
    assert undocumented == []


def test_types_are_declared() -> None:
    assert importlib.resources.files("mailproto").joinpath("py.typed").is_file()


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## ([0-9]+\.[0-9]+\.[0-9]+)", changelog, re.MULTILINE)
    assert newest is not None
    assert mailproto.__version__ == project["version"] == newest[1]
    assert importlib.metadata.version("mailproto") == project["version"]


# --------------------------------------------------------------------------- import budget


def test_the_package_loads_no_protocol() -> None:
    loaded = modules_after("import mailproto")
    assert loaded_components(loaded) & (PROTOCOLS | {"flows", "sync", "aio", "testing"}) == set()
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_protocol_loads_neither_its_siblings_nor_input_and_output(protocol: str) -> None:
    loaded = modules_after(
        f"from mailproto import {protocol}; {protocol}.Client, {protocol}.Server"
    )
    others = (PROTOCOLS - {protocol}) | {"flows", "sync", "aio", "backend", "testing", "cli"}
    assert loaded_components(loaded) & others == set()
    assert loaded & HEAVY == set()


def test_importing_pop3_loads_less_than_importing_poplib() -> None:
    """Names load the package when they are used, and only then (PEP 562)."""
    unused, used, poplib = map(
        modules_after,
        ["import mailproto.pop3", "import mailproto.pop3 as it; it.Client", "import poplib"],
    )
    assert len(unused) < len(poplib)
    assert loaded_components(unused) <= {"pop3"}
    assert "attr" not in unused
    assert "attr" in used


LAZY_NAMES = """
import mailproto, mailproto.pop3 as pop3
print({"Client", "Server", "client"} <= set(dir(pop3)))
print(set(mailproto.__all__) <= set(dir(mailproto)))
for module in (mailproto, pop3):
    try:
        module.nothing
    except AttributeError as error:
        print(repr(module.__name__) in str(error))
from mailproto import *
from mailproto.pop3 import *
print(NEED_DATA is mailproto.NEED_DATA, Client is pop3.Client)
"""


def test_names_that_load_when_used_are_listed_and_others_are_refused() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LAZY_NAMES], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.split() == ["True"] * 6


def test_sync_does_not_load_asyncio() -> None:
    loaded = modules_after("import mailproto.sync")
    assert "asyncio" not in loaded
    assert "aio" not in loaded_components(loaded)


@pytest.mark.parametrize(
    "statement",
    ["import mailproto.sync", "import mailproto.aio", "import mailproto.backend"],
)
def test_only_testing_loads_hypothesis_and_only_the_certificate_cryptography(
    statement: str,
) -> None:
    assert modules_after(statement) & {"hypothesis", "pytest", "cryptography"} == set()


def test_no_machine_path_is_committed() -> None:
    """No tracked file carries an absolute path of the machine where it was written."""
    try:
        listing = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, timeout=30
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"/(?:wor[k]|hom[e]|roo[t])/[a-z]")
    offenders = [
        name
        for name in listing.stdout.decode().split("\0")
        if name and (ROOT / name).is_file() and pattern.search((ROOT / name).read_bytes())
    ]
    assert offenders == []
