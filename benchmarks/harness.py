"""How a comparison is run: equality first, then every variant in processes of its own, in the order A B B A.

Of the full size each of the four is a new process. Of the small one, which has to be quick, it is one for each variant,
measured twice, and both prepare at the same time: most of the time would go into starting them.

A benchmark is a module of this package with

    GOAL, TITLE     its number in the list of goals, and what it compares
    CASES           {"small": [Case, …], "full": [Case, …]}
    check(options)  raises or exits when the variants do not agree; returns lines that say what was compared
    prepare(variant, size, options) -> work     `work()` is what gets timed

Figures of a case: wall and CPU seconds of one `work()` (median of its repeats, of more where it is short), the memory it
took beyond what the process held before (`transient_mb`), and the peak of the process (`peak_mb`, Linux only).
"""

from __future__ import annotations

import datetime
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from idc.files import atomic_write
from idc.machine import machine as taken_on

RESULTS = Path(__file__).resolve().parent / "results"
PREPARED, ANSWER = "prepared", "figures: "  # begin the lines with which a process answers
MEASURES = ("wall_s", "cpu_s", "transient_mb", "peak_mb")
PACKAGES = ("torch", "torchvision", "numpy", "mitsuba", "h5py", "pycocoevalcap")
ENOUGH = 1.0  # seconds that are measured at least


@dataclass(frozen=True)
class Case:
    """One comparison.

    goals: measure -> the ratio peer / ours to reach, at least; None where the ratio is watched without a goal.
    needs_released: the peer is the released repository, which has to be given by path. environment: variables that both
    variants are started with.
    """

    name: str
    peer: str
    ours: str
    size: dict[str, Any]
    goals: dict[str, float | None]
    threads: int = 1
    repeats: int = 3
    needs_released: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """released: a checkout of the released SCORER repository, where one was given."""

    released: Path | None = None


def memory_mb(name: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process in MB; nan where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 1024 if found else float("nan")


def reset_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def measured(work: Callable[[], object], repeats: int, warm_up: bool = True) -> dict[str, float]:
    """Median wall and CPU seconds, after one time that is not timed, and what memory it took."""
    gc.collect()
    reset_peak()
    before = memory_mb("VmRSS")
    if warm_up:
        work()
    wall, cpu = [], []
    while len(wall) < repeats or sum(wall) < ENOUGH:
        begun, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    peak = memory_mb("VmHWM")
    return {
        "wall_s": statistics.median(wall),
        "cpu_s": statistics.median(cpu),
        "transient_mb": max(peak - before, 0.1),
        "peak_mb": peak,
    }


class Child:
    """A process of its own for a variant of a case, which prepares once and measures whenever it is told to."""

    def __init__(self, benchmark: str, variant: str, case: Case, options: Options):
        self.name = f"{benchmark}, {case.name}: the variant {variant}"
        task = {
            "benchmark": benchmark,
            "variant": variant,
            "case": asdict(case),
            "released": str(options.released or ""),
        }
        environment = os.environ | {"OMP_NUM_THREADS": str(case.threads)} | case.environment
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness", json.dumps(task)], text=True, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=RESULTS.parent.parent,
        )  # fmt: skip

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self.process.communicate()
        self.errors.close()

    def measure(self) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        return json.loads(self.heard(ANSWER))

    def heard(self, beginning: str) -> str:
        """The rest of the next line that begins like this."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.removeprefix(beginning)
        self.errors.seek(0)
        sys.exit(f"error: {self.name} failed:\n{self.errors.read()}")


def child(benchmark: str, variant: str, case: Case, options: Options) -> dict[str, float]:
    """The figures of one variant, from a process of its own."""
    with Child(benchmark, variant, case, options) as process:
        process.heard(PREPARED)
        return process.measure()


def answer(task: dict[str, Any]) -> None:
    """In the child: prepare the variant, and measure it for every line that comes in.

    Its memory is that of the first time; later it holds what the first left behind.
    """
    import torch

    case = Case(**task["case"])
    torch.set_num_threads(case.threads)
    options = Options(Path(task["released"]) if task["released"] else None)
    work = import_module(f"benchmarks.{task['benchmark']}").prepare(task["variant"], case.size, options)
    print(PREPARED, flush=True)
    memory: dict[str, float] = {}
    for _ in sys.stdin:
        figures = measured(work, case.repeats, warm_up=not memory)
        memory = memory or {name: figures[name] for name in ("transient_mb", "peak_mb")}
        print(f"{ANSWER}{json.dumps(figures | memory)}", flush=True)


def measure_in_turn(
    benchmark: str, case: Case, options: Options, anew: bool
) -> dict[str, list[dict[str, float]]]:
    """The figures of both variants, in the order A B B A. anew: in four processes, otherwise in one for each variant."""
    order = (case.peer, case.ours, case.ours, case.peer)
    runs: dict[str, list[dict[str, float]]] = {case.peer: [], case.ours: []}
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        if not anew:
            children = {v: stack.enter_context(Child(benchmark, v, case, options)) for v in runs}
        for process in children.values():
            process.heard(PREPARED)
        for variant in order:
            figures = children[variant].measure() if children else child(benchmark, variant, case, options)
            runs[variant].append(figures)
    return runs


def compare(benchmark: str, case: Case, options: Options, anew: bool = True) -> dict[str, Any]:
    """The mean of both measurements of each variant, and the ratios peer / ours. anew: see `measure_in_turn`."""
    runs = measure_in_turn(benchmark, case, options, anew)
    figures = {
        variant: {name: statistics.mean(run[name] for run in several) for name in MEASURES}
        for variant, several in runs.items()
    }
    ratios = {name: figures[case.peer][name] / figures[case.ours][name] for name in MEASURES}
    return {
        "case": case.name,
        "peer": case.peer,
        "ours": case.ours,
        "size": case.size,
        "threads": case.threads,
        "repeats": case.repeats,
        "figures": {
            variant: {name: round(value, 4) for name, value in values.items()}
            for variant, values in figures.items()
        },
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "goals": case.goals,
        "commit": commit(),  # cases of one file may be of different days
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return taken_on(PACKAGES)


def commit() -> str:
    """The commit of the working tree, marked where the tree differs from it in more than the figures themselves."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=False, cwd=RESULTS.parent
        )
        return done.stdout.strip()

    figures = f":(exclude,top){RESULTS.parent.name}/{RESULTS.name}"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", figures)
    return git("describe", "--always", "--exclude", "*") + ("-dirty" if changed else "")


def run(benchmark: str, size: str, options: Options, only: str = "") -> dict[str, Any]:
    """The cases of a benchmark that have `only` in their names; those whose peer is missing are named and left out."""
    module = import_module(f"benchmarks.{benchmark}")
    wanted = []
    for case in module.CASES[size]:
        if only in case.name:
            if case.needs_released and options.released is None:
                print(f"{benchmark}: {case.name}: left out, its peer is the released code (--released PATH)")
            else:
                wanted.append(case)
    equal = module.check(options) if wanted else []
    for line in equal:
        print(f"{benchmark}: equal: {line}", flush=True)
    cases = []
    for case in wanted:
        result = compare(benchmark, case, options, anew=size == "full")
        cases.append(result)
        told = "  ".join(
            f"{name} {result['ratios'][name]:.2f}x" + (f" (goal {goal:g}x)" if goal else "")
            for name, goal in case.goals.items()
        )
        print(f"{benchmark}: {case.name}: {told}", flush=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "equal": equal,
        "cases": cases,
    }


def stored(benchmark: str) -> dict[str, Any]:
    """The committed figures of a benchmark: {"goal", "title", "small": …, "full": …}."""
    file = RESULTS / f"{benchmark}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def store(benchmark: str, size: str, result: dict[str, Any]) -> None:
    """Put the cases of `result` among the committed ones; a case that was not run keeps its figures."""
    module = import_module(f"benchmarks.{benchmark}")
    old = stored(benchmark)
    ran = {case["case"] for case in result["cases"]}
    known = {case.name for case in module.CASES[size]}
    kept = [case for case in old.get(size, {}).get("cases", []) if case["case"] in known - ran]
    order = [case.name for case in module.CASES[size]]
    cases = sorted(kept + result["cases"], key=lambda case: order.index(case["case"]))
    whole = {**old, "goal": module.GOAL, "title": module.TITLE, size: {**result, "cases": cases}}
    with atomic_write(RESULTS / f"{benchmark}.json") as path:
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    answer(json.loads(sys.argv[1]))
