"""Run the fuzz targets with atheris, one after the other: `make fuzz`.

`FUZZ_SECONDS` (60) is the time for each target, and arguments are names of targets (all of them).
Memory and time are measured only with `FUZZ_FLOOD=1`, since that makes it a hundred times slower.
New inputs of interest are kept in fuzz/corpus/, what breaks a promise in fuzz/findings/; minimise
a finding with `--minimise TARGET FILE` and put it into tests/fuzz/corpus/, where tests replay it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "tests" / "fuzz" / "corpus"
WORK = ROOT / "fuzz"
LONGEST = 2048


def main() -> int:
    if sys.argv[1:2] == ["--only"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets, as smtp.server")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", "60")))
    parser.add_argument("--minimise", nargs=2, metavar=("TARGET", "FILE"))
    options = parser.parse_args()
    if options.minimise:
        target, file = options.minimise
        seconds = f"-max_total_time={options.seconds}"
        smaller = f"-exact_artifact_path={file}.min"
        return child(target, ["-minimize_crash=1", seconds, smaller, file])
    # The names are in the package, but importing it here would make it blind to atheris.
    names = options.targets or sorted(path.name for path in SEEDS.iterdir() if path.is_dir())
    failed = [name for name in names if run(name, options.seconds)]
    print(f"{len(names) - len(failed)} of {len(names)} targets found nothing", flush=True)
    for name in failed:
        print(f"{name}: see {(WORK / 'findings').relative_to(ROOT)}", file=sys.stderr)
    return bool(failed)


def run(name: str, seconds: int) -> int:
    found = WORK / "corpus" / name
    findings = WORK / "findings"
    found.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    print(f"{name}: {seconds} seconds", flush=True)
    return child(
        name,
        [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            "-timeout=30",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={findings}/{name}-",
            str(found),
            str(SEEDS / name),
        ],
    )


def child(name: str, arguments: list[str]) -> int:
    """As libFuzzer ends its process, each target has its own."""
    command = [sys.executable, __file__, "--only", name, *arguments]
    return subprocess.run(command, check=False).returncode


def fuzz(name: str, arguments: list[str]) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["mailproto"]):
        fuzzing = importlib.import_module("mailproto.testing.fuzz")
    target: Callable[[bytes], None] = fuzzing.TARGETS[name]
    calm: Callable[[bytes], bytes] = fuzzing.without_flood
    flood = "FUZZ_FLOOD" in os.environ

    def one(data: bytes) -> None:
        target(data if flood else calm(data))

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
