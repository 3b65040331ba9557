"""Look at what a system says.

    python -m idc.show --run runs/demo --out runs/demo/report.html     the page of a run
    python -m idc.show --before a.png --after b.png                    any two pictures
    python -m idc.show --world data/fresh --out sheet.png              the triples of a rendered world

Without --snapshot the bundled checkpoint speaks (for a run: its best one).
"""

from __future__ import annotations

import argparse
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from idc.backbones import load_backbone, open_image
from idc.captioner.search import Search
from idc.data.batch import Pairs
from idc.data.captions import read_json, scene_id
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.metrics.pointing import chance, pointing
from idc.training.checkpoint import find_snapshot, load_system, read_facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUNDLED = Path(__file__).parent / "assets" / "scorer_cbr_rendered"
FOLDERS = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}


@dataclass(frozen=True)
class Said:
    """One caption: the sentence, its words, and where each word looked, (words, H, W)."""

    sentence: str
    words: tuple[str, ...]
    attention: np.ndarray

    @property
    def look(self) -> np.ndarray:
        """The mean look of the words, (H, W)."""
        return self.attention.mean(0)


class Captioner:
    """A snapshot with its backbone: pictures in, sentences out."""

    def __init__(self, snapshot: str | Path = BUNDLED):
        folder = Path(snapshot)
        self.system = load_system(folder)
        self.facts = read_facts(folder)
        self.backbone = load_backbone(self.facts.backbone)

    @torch.inference_mode()
    def say(self, pairs: list[tuple[Path, Path]], search: Search | None = None) -> list[Said]:
        """A caption for every (before, after) pair of picture files."""
        files = sorted({file for pair in pairs for file in pair})
        images = torch.stack([self.backbone.preprocess(open_image(file)) for file in files])
        grids = dict(zip(files, torch.cat([self.backbone(part) for part in images.split(32)]), strict=True))
        batch = Pairs(
            torch.stack([grids[before] for before, _ in pairs]),
            torch.stack([grids[after] for _, after in pairs]),
            torch.zeros(len(pairs), 1, dtype=torch.long),
            tuple(str(number) for number in range(len(pairs))),
        )
        captions = self.system.caption(batch, search or Search())
        _, height, width = self.facts.grid_shape
        result = []
        for row, attention in zip(captions.tokens.tolist(), captions.attention, strict=True):
            sentence = self.system.vocabulary.decode(row)
            words = tuple(sentence.split())
            looks = attention[: max(1, len(words))].unflatten(-1, (height, width))
            result.append(Said(sentence, words, looks.numpy()))
        return result


@functools.cache
def bundled_captioner() -> Captioner:
    """The captioner that is part of the kit."""
    return Captioner(BUNDLED)


def caption_pair(before: str | Path, after: str | Path, snapshot: str | Path | None = None) -> Said:
    """What changed between two picture files, in a sentence."""
    captioner = bundled_captioner() if snapshot is None else Captioner(snapshot)
    return captioner.say([(Path(before), Path(after))])[0]


@dataclass(frozen=True)
class TripleCaptions:
    """A scene's three pictures, what was said about change and distractor, and whether it is right (None: unknown)."""

    scene: int
    files: dict[str, Path]
    change: Said
    no_change: Said
    reference: str
    right: bool | None = None
    no_change_right: bool | None = None
    looked_right: bool | None = None


def caption_world(captioner: Captioner, root: Path, scenes: list[int]) -> list[TripleCaptions]:
    """Captions for triples of a data set, judged where it has scene graphs."""
    files = {
        scene: {kind: root / folder / f"CLEVR_{kind}_{scene:06d}.png" for kind, folder in FOLDERS.items()}
        for scene in scenes
    }
    pairs = [(files[s]["default"], files[s][kind]) for s in scenes for kind in ("semantic", "nonsemantic")]
    said = captioner.say(pairs)
    references = {scene_id(name): texts for name, texts in read_json(root / "change_captions.json").items()}
    judged = judge_scenes(root, scenes, said, captioner.facts.grid_shape)
    return [
        TripleCaptions(s, files[s], said[2 * i], said[2 * i + 1], references[s][0], *judged.get(s, ()))
        for i, s in enumerate(scenes)
    ]


def judge_scenes(
    root: Path, scenes: list[int], said: list[Said], grid_shape: tuple[int, int, int]
) -> dict[int, tuple[bool, bool, bool]]:
    """Per scene: is the change caption true, is "no change" said of the distractor, did it look at the change."""
    listing = root / "scenes.jsonl"
    if not listing.is_file():
        return {}
    from idc.metrics.facts import judge, parse
    from idc.world.triple import triple_from_dict

    records = {record["index"]: record for record in map(json.loads, listing.read_text("utf-8").splitlines())}
    result = {}
    for number, scene in enumerate(scenes):
        record, change, still = records[scene], said[2 * number], parse(said[2 * number + 1].sentence)
        right = judge(parse(change.sentence), triple_from_dict(record))["statement"]
        looked = pointing(
            torch.from_numpy(change.look.ravel()), grid_shape[1:], change_boxes(record), tuple(record["size"])
        )
        result[scene] = (right, still is not None and still.type == "none", looked)
    return result


def change_boxes(record: dict[str, Any]) -> list[Any]:
    """The changed object's boxes in the default and the semantic picture; None where it is not there."""
    change, boxes = record["change"], record["boxes"]
    return [
        None if change[side] is None else boxes[kind][change[side]]
        for side, kind in (("before", "default"), ("after", "semantic"))
    ]


def pointing_scores(root: Path, captions: list[TripleCaptions], grid: tuple[int, int]) -> dict[str, float]:
    """Share of change captions that looked at the change, and what looking at random would score."""
    listing = (root / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    records = {record["index"]: record for record in map(json.loads, listing)}
    hits = [bool(row.looked_right) for row in captions]
    luck = [
        chance(grid, change_boxes(records[row.scene]), tuple(records[row.scene]["size"])) for row in captions
    ]
    return {"pointing": float(np.mean(hits)), "chance": float(np.mean(luck)), "pairs": len(hits)}


def upsampled(look: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A look (H, W) as a smooth picture of size (width, height), scaled to [0, 1]."""
    scaled = (look - look.min()) / max(float(np.ptp(look)), 1e-9)
    image = Image.fromarray((255 * scaled).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32) / 255


def heat(image: Image.Image, look: np.ndarray) -> Image.Image:
    """The picture dimmed where nobody looked."""
    weight = 0.25 + 0.75 * upsampled(look, image.size)[..., None]
    return Image.fromarray((np.asarray(image, dtype=np.float32) * weight).astype(np.uint8))


def wrapped(sentence: str, width: int = 38) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(sentence or "(nothing)", width))


def triplet_figure(rows: list[TripleCaptions]) -> Figure:
    """Before, after with its caption, where the caption looked, distractor with its caption; one row a scene."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.75 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for row, (before, after, look, distractor) in zip(rows, axes, strict=True):
        pictures = {kind: open_image(file) for kind, file in row.files.items()}
        shown = (
            (before, pictures["default"], "before", None),
            (after, pictures["semantic"], row.change.sentence, row.right),
            (look, heat(pictures["semantic"], row.change.look), "where it looked", None),
            (distractor, pictures["nonsemantic"], row.no_change.sentence, row.no_change_right),
        )
        for axis, picture, text, right in shown:
            axis.imshow(picture, interpolation="bicubic")
            axis.set_axis_off()
            mark = {True: "✓ ", False: "✗ ", None: ""}[right]
            color = {True: "#0b6e4f", False: "#b3261e", None: "#333333"}[right]
            axis.set_title(wrapped(mark + text), fontsize=9, color=color)
    return figure


def pair_figure(before: Path, after: Path, said: Said) -> Figure:
    """Two pictures, the caption, and where it looked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    second = open_image(after)
    for axis, picture, text in (
        (left, open_image(before), "before"),
        (middle, second, "after"),
        (right, heat(second, said.look), "where it looked"),
    ):
        axis.imshow(picture, interpolation="bicubic")
        axis.set_axis_off()
        axis.set_title(text, fontsize=10)
    figure.suptitle(said.sentence)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=110)


def show_run(run: Path, snapshot: str, split: str, count: int, out: Path) -> None:
    """The HTML report of a run."""
    from idc.config import load_config
    from idc.report import write_report

    config = load_config(run / "config.yaml")
    root = Path(config.data.root)
    captioner = Captioner(find_snapshot(run, snapshot))
    scenes = sorted(read_json(root / "splits.json")[split])
    has_graphs = (root / "scenes.jsonl").is_file()
    rows = caption_world(captioner, root, scenes if has_graphs else scenes[:count])
    looks = pointing_scores(root, rows, captioner.facts.grid_shape[1:]) if has_graphs else None
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    write_report(out, run, captioner.facts, chosen, split, looks)
    print(f"the report is {out}")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.show", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a run's folder: write its report")
    parser.add_argument("--world", type=Path, help="a data set's folder: caption its triples")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path)
    parser.add_argument("--snapshot", help="a snapshot's folder; with --run also best, last or a step")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="of --run")
    parser.add_argument("--n", type=int, default=12, help="how many triples to draw")
    parser.add_argument("--out", type=Path, help="file to write (.html for a run, .png otherwise)")
    arguments = parser.parse_args()

    if arguments.run:
        out = arguments.out or arguments.run / "report.html"
        show_run(arguments.run, arguments.snapshot or "best", arguments.split, arguments.n, out)
    elif arguments.world:
        captioner = Captioner(arguments.snapshot or BUNDLED)
        scenes = sorted(scene_id(name) for name in read_json(arguments.world / "change_captions.json"))
        rows = caption_world(captioner, arguments.world, scenes[: arguments.n])
        for row in rows:
            print(f"scene {row.scene:06d}: {row.change.sentence}\n  distractor: {row.no_change.sentence}")
        if arguments.out:
            save_figure(triplet_figure(rows), arguments.out)
    elif arguments.before and arguments.after:
        said = caption_pair(arguments.before, arguments.after, arguments.snapshot)
        print(said.sentence)
        if arguments.out:
            save_figure(pair_figure(arguments.before, arguments.after, said), arguments.out)
    else:
        raise UserError("give --run, --world, or both --before and --after; --help shows examples.")


if __name__ == "__main__":
    main()
