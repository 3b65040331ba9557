"""Write the figures of the README from the JSON files that runs and benchmarks left behind.

python -m benchmarks.tables           # rewrites README.md
python -m benchmarks.tables --check   # exit code 1 when README.md is not what the files say
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


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


TABLES = {"facts": facts}


def fill(text: str) -> str:
    """`text` with every marked table written anew."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end of table -->)", re.DOTALL)
        if not block.search(text):
            raise SystemExit(f"error: README.md has no place for the table “{name}”")
        text = block.sub(lambda found, table=table: found[1] + table() + "\n" + found[2], text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = fill(old)
    if arguments.check and new != old:
        sys.exit("error: README.md is out of date; run python -m benchmarks.tables")
    if not arguments.check:
        readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
