"""How time and memory of a training step grow with the batch size B and the number of tokens N (goal P9).

python -m benchmarks.scaling            # measures, minutes; writes benchmarks/results/scaling.json and the plot
python -m benchmarks.scaling --plot     # draws docs/scaling.png anew from the figures
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.harness import RESULTS, Case, Options, child, commit, machine
from benchmarks.train_step import FLOAT

FILE = RESULTS / "scaling.json"
PLOT = RESULTS.parent.parent / "docs" / "scaling.png"
SIDES = {49: 7, 196: 14, 784: 28}
SIZES = [(b, n) for n in SIDES for b in (16, 32, 64, 128) if b * n <= 128 * 196]
COLOURS = {49: "#0072B2", 196: "#D55E00", 784: "#009E73"}  # apart for colour-blind eyes, too
MARKS = {49: "o", 196: "s", 784: "^"}


def measure() -> dict[str, Any]:
    points = []
    for batch, tokens in SIZES:
        size = {"batch": batch, "side": SIDES[tokens]}
        case = Case(f"B={batch}, N={tokens}", "", FLOAT, size, {}, 2, 1)
        figures = child("train_step", FLOAT, case, Options())
        points.append({"batch": batch, "tokens": tokens, **figures})
        print(f"{case.name}: {figures['wall_s']:.2f} s, {figures['transient_mb']:.0f} MB", flush=True)
    return {"goal": "P9", "commit": commit(), "machine": machine(), "threads": 2, "points": points}


def growth(points: list[dict[str, Any]], measure: str) -> float:
    """The largest exponent with which a measure grows from a batch size to the next, N fixed."""
    return max(
        math.log(after[measure] / before[measure]) / math.log(after["batch"] / before["batch"])
        for before, after in itertools.pairwise(points)
    )


def plot(result: dict[str, Any]) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    for tokens in SIDES:
        points = [p for p in result["points"] if p["tokens"] == tokens]
        style = {"color": COLOURS[tokens], "marker": MARKS[tokens], "label": f"N = {tokens}"}
        left.loglog([p["batch"] for p in points], [p["wall_s"] for p in points], **style)
        right.loglog([p["batch"] * tokens for p in points], [p["transient_mb"] for p in points], **style)
    first = next(p for p in result["points"] if p["tokens"] == 196)
    batches, tokens = [16, 128], [16 * 49, 128 * 196]
    left.set_ylim(0.2, 200)
    left.loglog(batches, [first["wall_s"] * (b / 16) ** 2 for b in batches], "k:", label="quadratic in B")
    base = first["transient_mb"] / (16 * 196)
    right.loglog(tokens, [base * t for t in tokens], "k:", label="linear in B N")
    left.set(xlabel="batch size B", ylabel="seconds per step", title="Time")
    right.set(xlabel="tokens in the batch, B N", ylabel="memory of a step (MB)", title="Memory")
    left.set_xticks([16, 32, 64, 128], ["16", "32", "64", "128"])
    left.set_yticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    right.set_xticks([1000, 3000, 10_000, 30_000], ["1,000", "3,000", "10,000", "30,000"])
    right.set_yticks([200, 500, 1000, 2000, 5000], ["200", "500", "1,000", "2,000", "5,000"])
    for axes in (left, right):
        axes.minorticks_off()
        axes.legend(frameon=False, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, dpi=110, metadata={"Description": fingerprint()})


def fingerprint() -> str:
    """Of the figures; the plot carries it, so that a test can see whether it is up to date."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plot", action="store_true", help="measure nothing")
    if not parser.parse_args().plot:
        FILE.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    result = json.loads(FILE.read_text(encoding="utf-8"))
    plot(result)
    print(told(result))


def told(result: dict[str, Any]) -> str:
    """The growth in words."""
    parts = []
    for tokens in SIDES:
        points = [p for p in result["points"] if p["tokens"] == tokens]
        if len(points) > 1:
            time, memory = growth(points, "wall_s"), growth(points, "transient_mb")
            parts.append(f"N = {tokens}: time B^{time:.2f}, memory B^{memory:.2f}")
    return "; ".join(parts)


if __name__ == "__main__":
    main()
