"""Measure mailproto beside its peers: `python benchmarks/run.py [--quick] [--only TEXT]`.

Each peer of a workload is a process of its own; repeats go round-robin over them, so that a machine
that changes speed changes it for all. Figures are CPU time; the table has medians and the spread,
and the ratio to us as the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import growth
import workloads  # noqa: F401  # registers itself
from registry import PEERS, WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
OURS = "mailproto"


@dataclass(frozen=True)
class Effort:
    """How long to look."""

    repeats: int
    seconds: float
    """CPU time that one repeat should take; a slow peer gets fewer units."""
    most: float
    """CPU time of a round of all peers behind which three rounds are enough."""


QUICK = Effort(repeats=5, seconds=0.12, most=0.8)
FULL = Effort(repeats=9, seconds=1.0, most=10.0)


class Worker:
    """The process of one peer."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.process = subprocess.Popen(
            [sys.executable, os.fspath(HERE / "worker.py"), peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self._answer()["version"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker of {self.peer} ended: {self.process.wait()}")
        return json.loads(line)

    def run(self, workload: Workload, units: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"workload": workload.name, "units": units}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(f"{workload.name}, {self.peer}: {answer['error']}")
        return answer["seconds"]

    def enough_units(self, workload: Workload, seconds: float) -> int:
        """How many units fill that time; the runs also warm the peer up."""
        units = 4 if workload.units > 100 else 1
        taken = self.run(workload, units)
        while True:
            if taken < seconds:
                # What is loaded when it is first used is no part of a unit.
                taken = self.run(workload, units)
            if taken >= seconds / 2 or units == workload.units:
                break
            units = min(workload.units, units * 8, int(units * seconds / max(taken, 1e-4)) + 1)
        return max(1, min(workload.units, int(units * seconds / max(taken, 1e-6))))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@dataclass
class Row:
    """One peer's figures for one workload."""

    peer: str
    version: str
    units: int
    seconds: list[float] = field(default_factory=list)

    @property
    def each(self) -> list[float]:
        """Microseconds of CPU a unit, one figure a round."""
        return [seconds / self.units * 1e6 for seconds in self.seconds]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a part of the median."""
        low, _, high = statistics.quantiles(self.each, n=4)
        return (high - low) / 2 / self.median


def compare(workload: Workload, effort: Effort) -> list[Row]:
    """Run a workload on every peer of its role, in turn."""
    workers = [Worker(peer) for peer in PEERS[workload.role]]
    try:
        rows = [
            Row(worker.peer, worker.version, worker.enough_units(workload, effort.seconds))
            for worker in workers
        ]
        for number in range(effort.repeats):
            for worker, row in zip(workers, rows, strict=True):
                row.seconds.append(worker.run(workload, row.units))
            if number >= 2 and sum(row.seconds[0] for row in rows) > effort.most:
                # One unit of a slow peer takes that long.
                break
    finally:
        for worker in workers:
            worker.close()
    return rows


def ratio(row: Row, ours: Row) -> float:
    """How many times our CPU time this peer takes: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(row.each, ours.each, strict=True))


def print_workload(workload: Workload, rows: list[Row], octets_each: float) -> None:
    ours = next(row for row in rows if row.peer == OURS)
    print(f"\n{workload.title} (unit: {workload.unit})")
    print(f"  {'peer':<24}{'us CPU/unit':>14}{'spread':>9}{'MB/s':>9}{'x ours':>9}{'units':>9}")
    for row in rows:
        speed = octets_each / row.median
        print(
            f"  {row.peer + ' ' + row.version:<24}{row.median:>14.2f}{row.spread:>9.1%}"
            f"{speed:>9.1f}{ratio(row, ours):>9.2f}{row.units:>9}",
            flush=True,
        )


def as_json(rows: list[Row], octets_each: float) -> list[dict[str, Any]]:
    ours = next(row for row in rows if row.peer == OURS)
    return [
        {
            "peer": row.peer,
            "version": row.version,
            "units": row.units,
            "octets_per_unit": octets_each,
            "us_cpu_per_unit": row.each,
            "median": row.median,
            "spread": row.spread,
            "ratio_to_ours": ratio(row, ours),
        }
        for row in rows
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="mailproto beside its peers")
    parser.add_argument("--quick", action="store_true", help="a minute or two instead of many")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="workloads with this in the name"
    )
    parser.add_argument("--no-growth", action="store_true", help="without the check of growth")
    parser.add_argument(
        "--json", metavar="FILE", type=Path, default=HERE / "results" / "latest.json"
    )
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    chosen = [w for w in WORKLOADS.values() if options.only in w.name]
    started = time.monotonic()

    results: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "repeats": effort.repeats,
        "workloads": {},
    }
    for workload in chosen:
        rows = compare(workload, effort)
        sample = min(row.units for row in rows)
        octets_each = workload.make(sample).octets / sample
        print_workload(workload, rows, octets_each)
        results["workloads"][workload.name] = as_json(rows, octets_each)

    linear = True
    if not options.no_growth:
        cases = growth.measure(options.only, quick=options.quick)
        growth.show(cases)
        results["growth"] = [case.as_json() for case in cases]
        linear = all(case.linear for case in cases)

    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\n{time.monotonic() - started:.0f} s; figures in {os.path.relpath(options.json)}")
    return 0 if linear else 1


if __name__ == "__main__":
    sys.exit(main())
