"""What every benchmark prints and writes: command, versions, machine, runs, and the median of each figure."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tests.support.ending import end_on_sigterm


def parser(name: str, description: str, *, runs: int = 3) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes; from now on SIGTERM stops its servers too."""
    end_on_sigterm()
    made = argparse.ArgumentParser(prog=f"scripts/bench {name}", description=description)
    made.add_argument("--runs", type=int, default=runs, help=f"runs to take the median of (default {runs})")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return made


def machine() -> str:
    """Processor, cores and memory."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}"


def versions(**programs: str) -> dict[str, str]:
    """Python, this package, and the first line of what each program says about itself."""
    found = {"python": platform.python_version(), "anju": version("anju")}
    for package in ("gmqtt", "msgspec", "uvloop", "influxdb-client"):
        found[package] = version(package)
    for name, program in programs.items():
        answer = subprocess.run(program.split(), capture_output=True, text=True, check=False)
        lines = (answer.stdout or answer.stderr).splitlines()
        found[name] = lines[0][:80] if lines else "?"
    return found


def finish(
    name: str, options: argparse.Namespace, runs: Sequence[dict[str, float]], known: dict[str, str], **more: Any
) -> int:
    """Print and write the report."""
    figures = {
        key: round(statistics.median(run[key] for run in runs if run.get(key) is not None), 4)
        for key in runs[0]
        if any(run.get(key) is not None for run in runs)
    }
    report = {
        "name": name,
        "command": f"scripts/bench {name} " + " ".join(sys.argv[1:]),
        "versions": known,
        "machine": machine(),
        "runs": list(runs),
        "figures": figures,
        **more,
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(f"{report['command']}\n{report['machine']}\nmedians of {len(runs)} run(s):")
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        print(f"  {key:<{width}}  {value:,.3f}")
    return 0
