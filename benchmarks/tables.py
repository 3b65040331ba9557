"""Write the figures of the README from the JSON files that runs and benchmarks left behind.

python -m benchmarks.tables           # rewrites README.md, draws docs/comparison.png anew
python -m benchmarks.tables --check   # exit code 1 when one of them is not what the files say
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from PIL import Image

from benchmarks import scaling
from idc import compare
from idc.errors import command
from idc.files import fill_tables

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMPARISON, PLOT = RESULTS / compare.RESULT, ROOT / "docs" / "comparison.png"


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def facts() -> str:
    """What the captions say, for the model `make demo` trains and for the bundled one."""
    rows = [
        ("trained by `make demo`", read(RESULTS / "demo.json")),
        ("bundled checkpoint", read(RESULTS / "bundled.json")),
    ]
    lines = [
        "| | training scenes | held-out scenes | change type | statement | “no change” | BLEU-4 | METEOR | CIDEr |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in rows:
        fact, caption = result["facts"], result["all"]
        lines.append(
            f"| {name} | {result['training_scenes']} | {fact['pairs']} "
            f"| {fact['change_type']:.1%} | {fact['statement']:.1%} | {fact['no_change']:.1%} "
            f"| {caption['BLEU-4']:.3f} | {caption['METEOR']:.3f} | {caption['CIDEr']:.2f} |"
        )
    return "\n".join(lines)


MEASURES = {
    "cpu_s": "CPU time",
    "wall_s": "wall time",
    "transient_mb": "memory it takes",
    "peak_mb": "peak memory of the process",
}
GOALS = ("matching", "train_step", "decode", "evaluation", "grids", "features", "rendering", "cider")


def speed() -> str:
    """Every goal: what, against whom, how many times less was asked and was measured."""
    lines = ["| | ours | against | measure | times less: asked | measured |", "|---|---|---|---|---|---|"]
    for name in GOALS:
        result = read(RESULTS / f"{name}.json")
        for case in result["full"]["cases"]:
            what = f"{result['title']}: {case['case'].replace(' against ' + case['peer'], '')}"
            for measure, asked in case["goals"].items():
                ratio = case["ratios"][measure]
                reached = "" if asked is None or ratio >= asked else " (not reached)"
                wanted = "" if asked is None else f"{asked:.3g}"
                peer = case["peer"]
                lines.append(
                    f"| {result['goal']} | {what} | {peer} | {MEASURES[measure]} | {wanted} | {ratio:.2f}{reached} |"
                )
    machine = read(RESULTS / "train_step.json")["full"]["machine"]
    lines += [
        "",
        f"Measured on {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, without a GPU, "
        f"Python {machine['python']}, torch {machine['versions']['torch']}; loads and commits are in the files.",
    ]
    return "\n".join(lines)


def grading() -> str:
    """A class before this grader and before nbgrader, as far as it was measured."""
    parts = read(RESULTS / "grading.json")["parts"]
    tuned = "nbgrader, tuned"
    rows = [
        ("", "this grader", "nbgrader autograde", "tuned: one thread, kernels ended at once"),
        ("---",) * 4,
    ]
    if time := parts.get("throughput"):
        what = (
            f"{time['notebooks']} notebooks of {time['students']} students, 2 cores, isolated, nothing cached"
        )
        seconds = {who: "; ".join(f"{each:.0f} s" for each in runs) for who, runs in time["seconds"].items()}
        more = {
            who: f"{seconds[who]} ({times:.1f} times ours)" for who, times in time["times_faster"].items()
        }
        rows.append((what, seconds["ours"], more["nbgrader"], more[tuned]))
        marks = {
            who: f"{found['right']} of {time['notebooks']}"
            for who, found in time["notebooks_by_mark"].items()
        }
        rows.append(("of these with exactly the right mark", marks["ours"], marks["nbgrader"], marks[tuned]))
    if cost := parts.get("overhead"):
        what = f"what the wall costs a hand-in of 17 exercises, beside {cost['checks_s']:.1f} s of checks"
        rows.append((what, f"{cost['overhead_ms']} ms (asked: 150)", "", ""))
    for name, what in (
        ("attacks", "attacks that earn a mark, or cost a right answer its own"),
        ("honest", "right answers in an odd form that earn less than all"),
    ):
        if part := parts.get(name):
            unfair = {who: f"{len(part[who]['unfair'])} of {part[who]['shown']}" for who in ("ours", tuned)}
            rows.append((what, unfair["ours"], "", unfair[tuned]))
    if damage := parts.get("damage"):
        what = f"{damage['notebooks']} notebooks, {damage['damaged']} damaged, {damage['recoverable']} of these recoverable"
        told = {}
        for who in ("ours", tuned):
            right = sum(damage[who][kind]["right"] for kind in ("whole_notebooks", "damaged_but_recoverable"))
            told[who] = f"of {damage[who]['shown']}: {damage[who]['rows']}; {right}"
        rows.append((f"{what}: rows; exactly right marks", told["ours"], "", told[tuned]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def growth() -> str:
    return f"Largest exponents of growth with the batch size: {scaling.told(read(scaling.FILE))}."


def comparison() -> str:
    return compare.markdown(read(COMPARISON)).rstrip()


TABLES = {"facts": facts, "grading": grading, "speed": speed, "growth": growth, "comparison": comparison}


def fingerprint() -> str:
    """Of the comparison's figures; the plot carries it, so that it can be seen whether it is up to date."""
    return hashlib.sha256(COMPARISON.read_bytes()).hexdigest()


def plot_is_fresh() -> bool:
    if not PLOT.is_file():
        return False
    with Image.open(PLOT) as picture:
        return picture.info.get("Description") == fingerprint()


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = fill_tables(old, TABLES)
    if arguments.check:
        stale = [
            str(path.relative_to(ROOT))
            for path, fresh in ((readme, new == old), (PLOT, plot_is_fresh()))
            if not fresh
        ]
        if stale:
            sys.exit(f"error: {' and '.join(stale)} out of date; run python -m benchmarks.tables")
        return
    readme.write_text(new, encoding="utf-8")
    if not plot_is_fresh():
        compare.draw(read(COMPARISON)).savefig(PLOT, dpi=110, metadata={"Description": fingerprint()})


if __name__ == "__main__":
    main()
