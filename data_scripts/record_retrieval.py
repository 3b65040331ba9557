"""Record how CLIP4IDC finds pairs before and after it was adapted to them, and figures of several seeds, for a notebook.

    python data_scripts/record_retrieval.py --run runs/clip4idc_laptop
    python data_scripts/record_retrieval.py --figures runs/clip4idc_laptop/seeds.json runs/compare/comparison.json

--run wants the folder of a run whose stage “adapt” is finished, the data it was trained on, and its model.clip.

retrieval.npz    of 16 pairs of the test split: `scenes`, change `types`, `pictures` (a JPEG; a row is a pair, before beside
                 after), all T `captions`, whose pair is `owner`; `asked`, one caption of each pair. Cosines (T, 16):
                 `single`     CLIP as it came, captions against the pictures after alone
                 `start`      the pair encoder before its first step
                 `adapted`    the best snapshot
                 `swapped`    the same, before and after exchanged
                 `shuffled`   the same, with the picture before of another pair
                 And of the train split how often each of its different captions stands there: `sentences` counts them as
                 they are written, `statements` those that claim the same as one; both in descending order
retrieval.json   figures on the whole test split for each of these, R@1 by change type, how many captions are nearer to their
                 pair than to the same scene without a change, likewise, and R@1 on val along the way
seeds.json       of every experiment: its name, how it was trained and, for each seed, what chose its snapshot and its
                 figures on test
"""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from idc import album
from idc.config import Config, load_config
from idc.data.batch import Pairs
from idc.data.layout import read_json, read_types, scene_id
from idc.data.pairs import PairData
from idc.errors import UserError, command
from idc.files import atomic_write, save_arrays
from idc.metrics.facts import parse
from idc.metrics.retrieval import retrieval_report, similarities, text_to_pair
from idc.systems.clip4idc import CLIP4IDC
from idc.systems.clip4idc.clip import normalised
from idc.training.checkpoint import find_snapshot, load_system, read_best
from idc.training.log import METRICS, read_metrics
from idc.training.loop import build_system, open_split
from idc.training.validate import Embedded, RetrievalValidation, batches, embed_split

RECORDED = Path(album.ALBUM).parent / "recorded"
PAIRS, SHARED = 16, 3  # pairs to show, and sentences among them that stand at two pairs
SIDE, QUALITY = 96, 90  # pixels of a picture at most; of the JPEG
TOLD = (
    "CIDEr",
    "change.CIDEr",
    "BLEU-4",
    "METEOR",
    "ROUGE-L",
    "facts.statement",
    "facts.change_type",
    "facts.no_change",
)
CURVE = "retrieval.text_to_pair.R@1"
Show = Callable[[Pairs], Float[Tensor, "B D"]]


def choose(found: Embedded, types: Sequence[str]) -> tuple[list[int], list[int]]:
    """Sixteen pairs, and the caption by which each is looked for.

    Up to three sentences that stand at two pairs come first, of different change types where there are; then pairs whose
    type is rarest among those chosen so far, with their first caption.
    """
    places: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for number, (caption, pair) in enumerate(zip(found.captions, found.owner.tolist(), strict=True)):
        places[caption].setdefault(pair, number)
    first = {pair: found.owner.tolist().index(pair) for pair in range(len(found.pairs))}
    asked: dict[int, int] = {}
    twice = [dict(list(each.items())[:2]) for each in places.values() if len(each) > 1]
    for twins in sorted(twice, key=lambda each: kinds_before(twice, each, types)):
        if len(asked) < 2 * SHARED and not twins.keys() & asked.keys():
            asked |= twins
    while len(asked) < min(PAIRS, len(first)):
        had = Counter(types[pair] for pair in asked)
        asked |= [
            (pair, first[pair]) for pair in sorted(first, key=lambda p: (p in asked, had[types[p]], p))
        ][:1]
    return sorted(asked), [asked[pair] for pair in sorted(asked)]


def kinds_before(twice: list[dict[int, int]], each: dict[int, int], types: Sequence[str]) -> int:
    """How many earlier ones in the list are of the same change type."""
    kind = types[min(each)]
    return sum(types[min(other)] == kind for other in twice[: twice.index(each)])


def strip(pairs: Sequence[tuple[Tensor, Tensor]]) -> np.ndarray:
    """Pictures (3, H, W) in [0, 1] as the bytes of one JPEG, a row for each pair."""
    rows = torch.cat([torch.cat(pair, 2) for pair in pairs], 1)
    shrink = min(1.0, SIDE / pairs[0][0].shape[1])
    image = Image.fromarray((rows.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
    file = io.BytesIO()
    image.resize((round(image.width * shrink), round(image.height * shrink))).save(
        file, "jpeg", quality=QUALITY
    )
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


@torch.inference_mode()
def vectors(data: PairData, batch_size: int, show: Show) -> Float[Tensor, "P D"]:
    """What `show` makes of all change pairs."""
    return torch.cat([show(batch.change).float() for batch in batches(data, batch_size, "embedding", True)])


def views(start: CLIP4IDC, adapted: CLIP4IDC, data: PairData, batch_size: int) -> dict[str, Embedded]:
    """All captions and pairs of the split as vectors, for each of the cosines that are recorded."""
    at_start, in_the_end = (embed_split(each, data, batch_size, progress=True) for each in (start, adapted))

    def shown(found: Embedded, show: Show) -> Embedded:
        return replace(found, pairs=vectors(data, batch_size, show))

    return {
        "single": shown(
            at_start, lambda pairs: start.clip.encode_image(normalised(pairs.after), normalize=True)
        ),
        "start": at_start,
        "adapted": in_the_end,
        "swapped": shown(
            in_the_end,
            lambda pairs: adapted.embed_pairs(replace(pairs, before=pairs.after, after=pairs.before)),
        ),
        "shuffled": shown(
            in_the_end, lambda pairs: adapted.embed_pairs(replace(pairs, before=pairs.before.roll(1, 0)))
        ),
    }


def by_type(found: Embedded, types: Sequence[str]) -> dict[str, float]:
    """R@1 from text to pair among all pairs, in percent, of the captions of each change type."""
    ranks = text_to_pair(similarities(found.texts, found.pairs), found.owner)
    own = np.array(types)[found.owner.numpy()]
    return {
        kind: replace(ranks, nearer=ranks.nearer[own == kind], tied=ranks.tied[own == kind]).recall(1)
        for kind in sorted(set(types))
    }


@torch.inference_mode()
def beside_unchanged(
    system: CLIP4IDC, found: Embedded, data: PairData, types: Sequence[str], batch_size: int
) -> dict[str, float]:
    """How many captions of each type, and of "all", are nearer to their pair than to the same scene without a change.

    In percent; by chance 50, ties count half. Nothing where the data have no pairs without a change.
    """
    shown = [batch.no_change for batch in batches(data, batch_size, "embedding", True)]
    unchanged = [system.embed_pairs(pairs).float() for pairs in shown if pairs is not None]
    if not unchanged:
        return {}
    own, other = ((found.texts * pairs[found.owner]).sum(1) for pairs in (found.pairs, torch.cat(unchanged)))
    nearer = 100 * ((own > other).double() + 0.5 * (own == other).double()).numpy()
    kinds = np.array(types)[found.owner.numpy()]
    return {kind: nearer[kinds == kind].mean() for kind in sorted(set(types))} | {"all": nearer.mean()}


def scale(system: CLIP4IDC) -> float:
    """By what the loss multiplies cosines."""
    return system.clip.logit_scale.exp().item()


def repeats(data: PairData) -> dict[str, np.ndarray]:
    """How often each different caption of the change pairs occurs, and each different statement."""
    references = data.references()
    captions = [caption for name in data.image_ids() for caption in references[name]]
    claims = [str(parse(caption) or caption) for caption in captions]
    kinds = {"sentences": captions, "statements": claims}
    return {
        name: np.array(sorted(Counter(said).values())[::-1], dtype=np.uint16) for name, said in kinds.items()
    }


def open_run(folder: Path) -> tuple[Config, CLIP4IDC, CLIP4IDC, PairData]:
    """The configuration of a stage “adapt”, the system as it began and as it ended, and the test split.

    Raises UserError for a folder that is no run.
    """
    if not (folder / "config.yaml").is_file():
        raise UserError(
            f"{folder} is no run. Give --run the folder of a CLIP4IDC with the stage “adapt”, such as "
            "`python -m idc.train --cfg configs/clip4idc/laptop.yaml` writes it."
        )
    config = load_config(folder / "config.yaml")
    data = open_split(config, "test")
    start, adapted = build_system(config, data).eval(), load_system(find_snapshot(folder, "best"))
    assert isinstance(start, CLIP4IDC) and isinstance(adapted, CLIP4IDC), "only CLIP4IDC has that stage"
    return config, start, adapted, data


def record_run(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What retrieval.npz and retrieval.json hold. folder: of the stage “adapt”."""
    config, start, adapted, data = open_run(folder)
    batch_size, lines = config.data.test.batch_size, read_metrics(folder / METRICS)
    found = views(start, adapted, data, batch_size)
    named = read_types(Path(config.data.root)) or {}
    types = [named.get(scene_id(name), "") for name in data.image_ids()]
    chosen, asked = choose(found["start"], types)
    owner = found["start"].owner.numpy()
    shown = [place for place, pair in enumerate(owner) if pair in chosen]
    items = [data.collate([data[(0, pair)]]).change for pair in chosen]
    arrays = {
        "scenes": np.array([scene_id(data.image_ids()[pair]) for pair in chosen], dtype=np.int32),
        "types": np.array([types[pair] for pair in chosen]),
        "pictures": strip([(item.before[0], item.after[0]) for item in items]),
        "captions": np.array([found["start"].captions[place] for place in shown]),
        "owner": np.array([chosen.index(owner[place]) for place in shown], dtype=np.uint8),
        "asked": np.array([shown.index(place) for place in asked], dtype=np.int16),
        **{
            name: similarities(each.texts[shown], each.pairs[chosen]).numpy().astype(np.float32)
            for name, each in found.items()
        },
        **repeats(open_split(config, "train")),
    }
    figures = {
        "steps": config.train.steps,
        "batch_size": config.data.train.batch_size,
        "unchanged": start.config.unchanged,
        "best_step": (read_best(folder) or {}).get("step"),
        "logit_scale": {"start": scale(start), "adapted": scale(adapted)},
        "test": {
            name: retrieval_report(each.texts, each.pairs, each.owner, each.captions)
            for name, each in found.items()
        },
        "beside_unchanged": {
            name: beside_unchanged(system, found[name], data, types, batch_size)
            for name, system in (("start", start), ("adapted", adapted))
        },
        "by_type": {name: by_type(each, types) for name, each in found.items()},
        "curve": [
            [0, RetrievalValidation(open_split(config, "val")).measure(start, batch_size, "cpu")[CURVE]],
            *([line["step"], line[f"val/{CURVE}"]] for line in lines if f"val/{CURVE}" in line),
        ],
    }
    return arrays, figures


def record_figures(files: Iterable[Path]) -> list[dict[str, Any]]:
    """What seeds.json holds, from files that `idc.train --seeds` and `idc.compare` write."""
    return [experiment for file in files for experiment in experiments(file)]


def experiments(file: Path) -> list[dict[str, Any]]:
    """{"label", "metric", "stages", "training_scenes", "seeds": [{"seed", "selection", "test"}]} of each in a file.

    metric and selection, what chose a snapshot on val, are null where the file does not tell. Raises UserError for a file
    of another kind.
    """
    content = read_json(file)
    try:
        if "systems" in content:
            return [experiment(each["label"], None, each) for each in content["systems"]]
        return [experiment(file.parent.name, content["metric"], content)]
    except KeyError as error:
        raise UserError(
            f"{file} holds no figures of seeds, or was written before they told how they were trained ({error} is missing); "
            "give a seeds.json of `python -m idc.train --seeds` or a comparison.json of `python -m idc.compare`."
        ) from error


def experiment(label: str, metric: str | None, found: dict[str, Any]) -> dict[str, Any]:
    training = {name: found[name] for name in ("stages", "training_scenes")}
    return {"label": label, "metric": metric, **training, "seeds": told(found["seeds"])}


def told(seeds: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of each seed, without those that no notebook shows."""
    return [
        {"seed": int(seed), "selection": run.get("selection"), "test": wanted(run.get("test", run))}
        for seed, run in seeds.items()
    ]


def wanted(figures: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if name in TOLD or "R@" in name}


def write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a run's folder, with the stage “adapt” in it")
    parser.add_argument(
        "--figures",
        type=Path,
        nargs="+",
        default=[],
        help="seeds.json of several seeds, comparison.json of comparisons",
    )
    parser.add_argument("--out", type=Path, default=RECORDED)
    arguments = parser.parse_args()
    if arguments.run is None and not arguments.figures:
        raise UserError("there is nothing to record; give --run, --figures, or both.")
    files = []
    if arguments.run is not None:
        arrays, figures = record_run(arguments.run / "adapt")
        save_arrays(arguments.out / "retrieval.npz", arrays)
        write_json(arguments.out / "retrieval.json", figures)
        files += ["retrieval.npz", "retrieval.json"]
    if arguments.figures:
        write_json(arguments.out / "seeds.json", record_figures(arguments.figures))
        files.append("seeds.json")
    for file in (arguments.out / name for name in files):
        print(f"{file}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
