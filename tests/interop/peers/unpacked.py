"""Servers that exclude Postfix in apt: `unpack.sh` unpacks them below .peers/ in the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from interop.peers.process import Worker, unavailable

ROOT: Final = Path(__file__).parents[3] / ".peers"


def require_unpacked(package: str) -> Path:
    """The directory of an unpacked package, or skip."""
    path = ROOT / package
    if not path.is_dir():
        unavailable(f"{package} is not unpacked (tests/interop/peers/unpack.sh does)")
    return path


def copy_program(program: Path, directory: Path) -> str:
    """A program where an unprivileged server can reach it, which the checkout need not be."""
    target = directory / program.name
    shutil.copyfile(program, target)
    target.chmod(0o755)
    return os.fspath(target)


def with_users(directory: Path, worker: Worker, *names: str) -> dict[str, str]:
    """The environment in which these users and groups exist, as other names of the worker."""
    if not any(Path("/usr/lib").glob("*/libnss_wrapper.so")):
        unavailable("libnss_wrapper.so is not installed (Debian package libnss-wrapper)")
    users, groups = directory / "passwd", directory / "group"
    users.write_text(
        Path("/etc/passwd").read_text()
        + "".join(f"{name}:x:{worker.uid}:{worker.gid}::/:/bin/false\n" for name in names)
    )
    groups.write_text(
        Path("/etc/group").read_text() + "".join(f"{name}:x:{worker.gid}:\n" for name in names)
    )
    return {
        "LD_PRELOAD": "libnss_wrapper.so",
        "NSS_WRAPPER_PASSWD": os.fspath(users),
        "NSS_WRAPPER_GROUP": os.fspath(groups),
    }
