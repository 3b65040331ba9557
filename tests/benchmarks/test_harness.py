"""The harness of the benchmarks: what it measures, keeps and complains about. No figure of time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import harness, scaling
from benchmarks.harness import ENOUGH, MEASURES, Case, Options, compare, measured, run, store, stored
from tests.commands import caller

ROOT = Path(__file__).resolve().parents[2]


def case(name: str, ratio: float) -> dict[str, object]:
    return {"case": name, "ratios": dict.fromkeys(MEASURES, ratio), "goals": {"cpu_s": None}}


def result(*cases: dict[str, object]) -> dict[str, object]:
    return {"cases": list(cases), "equal": [], "commit": "abc", "machine": {}}


def test_memory_is_what_the_work_takes_and_gives_back() -> None:
    """64 MB that live only while the work runs, in a process of its own that holds 128 MB already."""
    program = """
import json, torch
from benchmarks.harness import measured
held = torch.ones(32 * 2**20)
print(json.dumps(measured(lambda: torch.ones(16 * 2**20).sum(), 1) | {"held": float(held.sum())}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    figures = json.loads(done.stdout)
    assert 60 < figures["transient_mb"] < 110
    assert figures["peak_mb"] > 190


@pytest.mark.parametrize(("anew", "processes"), [(True, 4), (False, 2)])
def test_a_comparison_runs_both_variants_in_their_own_processes(
    anew: bool, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    begin = subprocess.Popen

    def counted(*arguments: Any, **options: Any) -> Any:
        process = begin(*arguments, **options)
        if "benchmarks.harness" in arguments[0]:
            begun.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", counted)
    case = Case("c", "pycocoevalcap", "tensors", {"captions": 12}, {"cpu_s": 2.0})
    compared = compare("cider", case, Options(), anew)
    assert len(set(begun)) == processes
    assert set(compared["figures"]) == {"pycocoevalcap", "tensors"}
    for name in MEASURES:
        theirs, mine = (compared["figures"][variant][name] for variant in ("pycocoevalcap", "tensors"))
        assert theirs > 0 and mine > 0
        assert compared["ratios"][name] == pytest.approx(theirs / mine, rel=0.2)  # figures are rounded
    json.dumps(compared)


@pytest.mark.parametrize("anew", [True, False])
def test_a_variant_that_fails_is_named(anew: bool) -> None:
    case = Case("broken", "no-such", "tiled", {"batch": 1, "tokens": 2, "dim": 3}, {})
    with pytest.raises(SystemExit, match=r"matching, broken: the variant no-such failed"):
        compare("matching", case, Options(), anew)


@pytest.mark.parametrize(("warm_up", "more"), [(True, 1), (False, 0)])
def test_short_work_is_measured_for_long_enough(
    warm_up: bool, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))  # every work takes a hundredth of a second
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock) / 100)
    done: list[None] = []
    figures = measured(lambda: done.append(None), 2, warm_up)
    assert len(done) - more == pytest.approx(100 * ENOUGH, abs=1)
    assert figures["wall_s"] == pytest.approx(0.01)


def test_unequal_variants_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import cider

    monkeypatch.setattr(cider, "theirs", lambda candidates, references: [1.0] * len(candidates))
    monkeypatch.setattr(harness, "compare", lambda *_, **__: pytest.fail("timed although unequal"))
    with pytest.raises(AssertionError):
        run("cider", "small", Options())


def test_cases_without_their_peer_are_left_out_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import decode

    monkeypatch.setattr(decode, "check", lambda _: [])
    monkeypatch.setattr(
        harness,
        "compare",
        lambda name, case, _, **__: {"case": case.name, "ratios": dict.fromkeys(MEASURES, 1.0)},
    )
    ran = {case["case"] for case in run("decode", "small", Options())["cases"]}
    left_out = {case.name for case in decode.CASES["small"]} - ran
    assert left_out and all(case.needs_released == (case.name in left_out) for case in decode.CASES["small"])
    told = capsys.readouterr().out
    assert all(name in told for name in left_out)


def test_a_case_that_was_not_run_keeps_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import cider

    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    first, second = (case.name for case in cider.CASES["small"])
    store("cider", "small", result(case(second, 5), case(first, 1)))
    store("cider", "small", result(case(second, 6), case("of old days", 9)) | {"cases": [case(second, 6)]})
    kept = {case["case"]: case["ratios"]["cpu_s"] for case in stored("cider")["small"]["cases"]}
    assert kept == {first: 1, second: 6}


def test_a_ratio_that_fell_twice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        command, "stored", lambda _: {"small": result(case("a", 10), case("b", 10), case("c", 10))}
    )
    first = [case("a", 7.9), case("b", 8.1), case("c", 1), case("d", 99)]
    assert command.fallen("x", first) == {
        "a": "x: a: cpu_s 7.90x, committed were 10.00x",
        "c": "x: c: cpu_s 1.00x, committed were 10.00x",
        "d": "x: d: no ratio is committed for it",
    }
    both = case("a", 1) | {"goals": {"cpu_s": None, "peak_mb": 2.0}}
    assert command.fallen("x", [both])["a"].count("1.00x, committed were 10.00x") == 2
    again = {"a": result(case("a", 7.8)), "c": result(case("c", 8.1)), "d": result(case("d", 99))}
    monkeypatch.setattr(command, "run", lambda benchmark, size, options, only: again[only])
    assert command.slower("x", first, Options()) == [
        "x: a: cpu_s 7.80x, committed were 10.00x",
        "x: d: no ratio is committed for it",
    ]


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_every_benchmark_has_committed_figures_for_every_case(name: str) -> None:
    module = __import__(f"benchmarks.{name}", fromlist=["CASES"])
    figures = stored(name)
    for size in ("small", "full"):
        assert [c["case"] for c in figures[size]["cases"]] == [c.name for c in module.CASES[size]], (
            name,
            size,
        )
        assert figures[size]["equal"] and figures[size]["commit"] and figures[size]["machine"]["cpu"]


def test_the_plot_is_drawn_from_the_figures() -> None:
    with Image.open(scaling.PLOT) as picture:
        assert picture.info["Description"] == scaling.fingerprint()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no benchmark nonsense; choose among matching"),
        (["--released", "."], "models/SCORER.py is missing"),
        (["--check", "--size", "full"], "--check works on the small size"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert caller(command)(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err


def test_cases_that_do_not_exist_neither_pass_nor_touch_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from benchmarks import cider

    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(cider, "check", lambda _: pytest.fail("there is nothing to check"))
    for more in (["--check"], []):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "cider", "--only", "nothing of this name", *more])
        with pytest.raises(SystemExit, match=r"no case ran; none .* has “nothing of this name” in its name"):
            command.main()
    assert list(tmp_path.iterdir()) == []
