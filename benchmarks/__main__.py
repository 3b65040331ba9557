"""Run benchmarks.

python -m benchmarks matching decode --size full [--released PATH]   # measure and write benchmarks/results/
python -m benchmarks --check [--released PATH]                       # `make bench`: small sizes, against what is
                                                                     # committed; exit code 1 below 0.8 of a ratio,
                                                                     # measured twice
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.harness import Options, run, store, stored

BENCHMARKS = (
    "matching",
    "train_step",
    "decode",
    "evaluation",
    "cider",
    "grids",
    "features",
    "rendering",
)
ALLOWED = 0.8  # of the committed ratio


def fallen(benchmark: str, cases: list[dict]) -> dict[str, str]:
    """The cases with ratios below the allowed share of the committed ones, and which these are, in words."""
    committed = {case["case"]: case["ratios"] for case in stored(benchmark).get("small", {}).get("cases", [])}
    found: dict[str, str] = {}
    for case in cases:
        name, now = case["case"], case["ratios"]
        if name not in committed:
            found[name] = f"{benchmark}: {name}: no ratio is committed for it"
            continue
        then = committed[name]
        low = [measure for measure in case["goals"] if now[measure] < ALLOWED * then[measure]]
        if low:
            told = ", ".join(f"{m} {now[m]:.2f}x, committed were {then[m]:.2f}x" for m in low)
            found[name] = f"{benchmark}: {name}: {told}"
    return found


def slower(benchmark: str, cases: list[dict], options: Options) -> list[str]:
    """The cases that have fallen twice: one that did is measured again, the machine may have been busy with something."""
    lines = []
    for name, line in fallen(benchmark, cases).items():
        print(f"{line}; measured again:", flush=True)
        again = fallen(benchmark, run(benchmark, "small", options, name)["cases"])
        if name in again:
            lines.append(again[name])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--released", type=Path, help="a checkout of the released SCORER repository")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this in their name")
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed ratios, write nothing"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"there is no benchmark {', '.join(sorted(unknown))}; choose among {', '.join(BENCHMARKS)}"
        )
    if arguments.check and arguments.size == "full":
        parser.error("--check works on the small size")
    if arguments.released and not (arguments.released / "models" / "SCORER.py").is_file():
        parser.error(
            f"{arguments.released} is not a checkout of the released repository: models/SCORER.py is missing"
        )
    options = Options(arguments.released and arguments.released.resolve())
    below: list[str] = []
    ran = 0
    for name in arguments.names or BENCHMARKS:
        result = run(name, arguments.size, options, arguments.only)
        ran += len(result["cases"])
        if arguments.check:
            below += slower(name, result["cases"], options)
        elif result["cases"]:
            store(name, arguments.size, result)
    if not ran:
        sys.exit(f"error: no case ran; none whose peer is there has “{arguments.only}” in its name")
    if below:
        sys.exit("error: slower than what is committed:\n" + "\n".join(below))


if __name__ == "__main__":
    main()
