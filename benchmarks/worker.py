"""One peer in a process of its own: reads what to run as lines of JSON, answers with CPU seconds.

Every result is compared with the right answer before its time is told.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys

import workloads  # noqa: F401  # registers itself
from registry import WORKLOADS, Job


def measure(peer: str, name: str, units: int, jobs: dict[tuple[str, int], Job]) -> float:
    """CPU seconds of one run; raises AssertionError for a wrong result."""
    workload = WORKLOADS[name]
    if (name, units) not in jobs:
        jobs.clear()
        jobs[name, units] = workload.make(units)
    job = jobs[name, units]
    prepared = getattr(importlib.import_module(f"peers.{peer}"), workload.role)(job.given)
    gc.collect()
    start = prepared.clock()
    result = prepared.run()
    seconds = prepared.clock() - start
    told = prepared.read(result)
    if told != job.expected:
        pairs = enumerate(zip(told, job.expected, strict=False))
        where = next((number for number, (a, b) in pairs if a != b), "the end")
        raise AssertionError(f"wrong result at {where}: {len(told)} of {len(job.expected)}")
    return seconds


def main() -> None:
    peer = sys.argv[1]
    jobs: dict[tuple[str, int], Job] = {}
    version = importlib.import_module(f"peers.{peer}").VERSION
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"seconds": measure(peer, order["workload"], order["units"], jobs)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
