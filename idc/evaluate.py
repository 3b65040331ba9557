"""python -m idc.evaluate --results runs/laptop/test/1300 --anno data/rendered

Scores captions: BLEU to SPICE on all pairs, change pairs, no-change pairs and by change type, and, where there are
scene graphs, how often the sentence is true.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from idc.data.captions import read_json, scene_id
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.metrics.captions import DEFAULT, TOKENIZERS, CaptionScorer, spice_missing
from idc.metrics.facts import score_facts
from idc.world.triple import triple_from_dict

REFERENCES = "total_change_captions_reformat.json"


def read_results(path: Path) -> dict[str, str]:
    """{image id: caption} from a COCO results file, or from sc_results.json in a folder and, if there, nsc_results.json."""
    still = path / "nsc_results.json"
    files = [path / "sc_results.json", *([still] if still.is_file() else [])] if path.is_dir() else [path]
    captions: dict[str, str] = {}
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is missing; `python -m idc.test` writes it.")
        try:
            rows = json.loads(file.read_text(encoding="utf-8"))
            captions |= {str(row["image_id"]): row["caption"].strip() for row in rows}
        except (json.JSONDecodeError, AttributeError, TypeError, KeyError) as error:
            raise UserError(
                f'{file} is not a list of {{"image_id": …, "caption": …}} ({error!r}); run idc.test again.'
            ) from error
    return captions


def read_references(path: Path) -> dict[str, list[str]]:
    """{image id: captions} from a COCO annotation file."""
    content = read_json(path)
    captions: dict[str, list[str]] = defaultdict(list)
    try:
        for annotation in content["annotations"]:
            captions[str(annotation["image_id"])].append(annotation["caption"])
    except (TypeError, KeyError) as error:
        raise UserError(f"{path} is not an annotation file in COCO's caption format ({error!r}).") from error
    return dict(captions)


def evaluate(
    results: Path,
    annotations: Path,
    types: Path | None = None,
    scenes: Path | None = None,
    metrics: tuple[str, ...] = DEFAULT,
    tokenizer: str = "ptb",
) -> dict[str, Any]:
    """{"all": …, "change": …, "no_change": …, "by_type": {type: …}, "facts": …}; groups without pairs are left out.

    annotations: a COCO file, or a data set's folder, in which types and scenes are then found, too.
    """
    if annotations.is_dir():
        types = types or next(iter(annotations.glob("type_mapping.json")), None)
        scenes = scenes or next(iter(annotations.glob("scenes.jsonl")), None)
        annotations = annotations / REFERENCES
        if not annotations.is_file():
            raise UserError(
                f"{annotations} is missing; `python data_scripts/preprocess_captions.py --root "
                f"{annotations.parent}` makes it."
            )
    predictions = read_results(results)
    change = [name for name in predictions if not name.endswith("_n")]
    no_change = [name for name in predictions if name.endswith("_n")]
    report: dict[str, Any] = {}
    scorer = CaptionScorer(predictions, read_references(annotations), metrics, tokenizer)
    report["all"] = scorer.score()
    if change and no_change:
        report["change"], report["no_change"] = scorer.score(change), scorer.score(no_change)
    if types is not None and change:
        wanted = {scene_id(f"_{name}"): name for name in change}
        report["by_type"] = {}
        for type, names in read_json(types).items():
            ids = [wanted[scene] for name in names if (scene := scene_id(f"_{name}")) in wanted]
            if ids:
                report["by_type"][type] = scorer.score(ids)
    if scenes is not None:
        if not scenes.is_file():
            raise UserError(
                f"there are no scene graphs at {scenes}; give the scenes.jsonl of a rendered world."
            )
        needed = {scene_id(f"_{name.removesuffix('_n')}") for name in predictions}
        records = (json.loads(line) for line in scenes.read_text(encoding="utf-8").splitlines())
        report["facts"] = score_facts(
            predictions, [triple_from_dict(record) for record in records if record["index"] in needed]
        )
    return report


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    groups = {name: report[name] for name in ("all", "change", "no_change") if name in report}
    groups |= report.get("by_type", {})
    names = list(report["all"])
    lines = [" " * 12 + "".join(f"{name:>9}" for name in names)]
    lines += [
        f"{group:<12}" + "".join(f"{row[name]:9.4f}" for name in names) for group, row in groups.items()
    ]
    if "facts" in report:
        facts = report["facts"]
        lines += ["", f"facts, over {facts['pairs']} change and {facts['no_change_pairs']} no-change pairs"]
        lines += [f"  {name:<24}{value:7.1%}" for name, value in facts.items() if not name.endswith("pairs")]
    return "\n".join(lines)


@command
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m idc.evaluate", description="Score captions.")
    parser.add_argument(
        "--results", type=Path, required=True, help="folder written by idc.test, or a COCO results file"
    )
    parser.add_argument(
        "--anno", type=Path, required=True, help="COCO annotation file, or the data set's folder"
    )
    parser.add_argument("--type_file", type=Path, help="type_mapping.json (found in the data set's folder)")
    parser.add_argument("--scenes", type=Path, help="scenes.jsonl of a rendered world (likewise)")
    parser.add_argument(
        "--metrics", default=",".join(DEFAULT), help=f"default {','.join(DEFAULT)}; also SPICE"
    )
    parser.add_argument("--tokenizer", default="ptb", choices=TOKENIZERS)
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    metrics = tuple(arguments.metrics.split(","))
    if "SPICE" in metrics and (reason := spice_missing()):
        print(reason)
    report = evaluate(
        arguments.results, arguments.anno, arguments.type_file, arguments.scenes, metrics, arguments.tokenizer
    )
    print(table(report))
    if arguments.out:
        with atomic_write(arguments.out) as path:
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
