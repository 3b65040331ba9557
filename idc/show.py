"""Look at what a system says.

    python -m idc.show --run runs/demo --out runs/demo/report.html     the page of a run
    python -m idc.show --before a.png --after b.png                    any two pictures
    python -m idc.show --world data/fresh --out sheet.png              the triples of a rendered world

Without --snapshot the bundled checkpoint speaks (for a run: its best one). With --pieces FOLDER it speaks through your
own code.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from idc.backbones import load_backbone, open_image
from idc.captioner.search import Search
from idc.data.batch import Pairs
from idc.data.grids import Grids, open_grids
from idc.data.layout import KINDS, PICTURE_FOLDERS, picture, read_json, scene_id, some, split_of
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.metrics.facts import Statement, judge, parse, score_facts
from idc.metrics.pointing import Box, chance, pointing
from idc.own import add_arguments, adopt
from idc.training.checkpoint import find_snapshot, load_system, read_facts
from idc.world.scene import Triple
from idc.world.triple import triple_from_dict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BUNDLED = Path(__file__).parent / "assets" / "scorer_cbr_rendered"
DRAWINGS = ("png", "pdf", "svg", "jpg", "webp")
AT_ONCE = 64  # pictures or pairs in one pass
# fmt: off
SMALL_WORDS = frozenset((
    "a", "an", "and", "are", "at", "be", "been", "by", "from", "has", "have", "in", "is", "it", "its", "no", "not",
    "now", "of", "on", "that", "the", "there", "this", "to", "was", "were", "which", "with",
))
# fmt: on
RIGHT, WRONG, NEUTRAL = "#0b5cad", "#b34700", "#333333"  # blue and orange: told apart by every eye
MARK = {True: "✓ ", False: "✗ ", None: ""}


@dataclass(frozen=True)
class Said:
    """One caption: the sentence, its words, and where each word looked, (words, H, W).

    before: where each looked in the picture before, if the system looks at each picture by itself; `attention` is then
    about the picture after. None: to look at a place is to look at it in both pictures.
    """

    sentence: str
    words: tuple[str, ...]
    attention: np.ndarray
    before: np.ndarray | None = None

    @property
    def look(self) -> np.ndarray:
        """The mean look of the words, (H, W)."""
        return self.attention.mean(0)

    def telling_words(self) -> list[tuple[str, np.ndarray]]:
        """The words that name something, each with its look (H, W); "the", "has", "of" and the like left out."""
        return [
            (word, look)
            for word, look in zip(self.words, self.attention, strict=False)
            if word.lower() not in SMALL_WORDS
        ]

    def points_at(self, boxes: Sequence[Box | None], size: tuple[int, int]) -> bool:
        """Whether the caption looks most at the change. boxes: of the changed object before and after; size: in pixels.

        Where it looks at each picture by itself, the one it looks at most sharply counts, with the box there.
        """
        look = self.look
        if self.before is not None:
            before = self.before.mean(0)
            look, boxes = (before, boxes[:1]) if before.max() > look.max() else (look, boxes[1:])
        return pointing(torch.from_numpy(look.ravel()), look.shape, boxes, size)


def read_out(tokens: list[int], looks: np.ndarray, sentence: Callable[[list[int]], str]) -> Said:
    """A caption's words with their looks.

    looks: of every id, (L, P, H, W) for P = 1 or 2 pictures. sentence: what ids say, `System.sentence`. A word of several
    ids looks as they do on average; an id that adds nothing is left out. An empty caption keeps its first look.
    """
    said, places = "", list[list[int]]()
    for place in range(len(tokens)):
        longer = sentence(tokens[: place + 1])
        if len(longer.split()) > len(places):
            places.append([place])
        elif longer != said:
            places[-1].append(place)
        said = longer
    *before, after = np.stack([looks[ids].mean(0) for ids in places or [[0]]], axis=1)
    return Said(said, tuple(said.split()), after, before[0] if before else None)


class Captioner:
    """A snapshot with its backbone: pictures in, sentences out.

    snapshot: a snapshot's folder. grids: features made before, by picture name; None computes them from the pictures.
    Raises UserError for a folder that is no snapshot, and for a backbone that does not fit it.
    """

    def __init__(self, snapshot: str | Path = BUNDLED, grids: Grids | None = None):
        folder = Path(snapshot)
        self.system = load_system(folder)
        self.facts = read_facts(folder)
        self.grids = grids
        self.backbone = load_backbone(self.facts.backbone) if grids is None else None
        if grids is not None:
            grids.expect(self.facts.grid_shape, f"the snapshot {folder}")
        elif self.backbone is not None and self.backbone.grid_shape != self.facts.grid_shape:
            raise UserError(
                f"{folder} was trained on grids {self.facts.grid_shape}, but the backbone “{self.facts.backbone}” makes "
                f"{self.backbone.grid_shape}. Take a snapshot that was trained on features of this backbone."
            )

    def see(self, files: list[Path]) -> dict[Path, torch.Tensor]:
        """The grid (C, H, W) of every picture."""
        if self.backbone is None:
            assert self.grids is not None
            return {file: torch.from_numpy(self.grids[file.name].astype(np.float32)) for file in files}
        grids: dict[Path, torch.Tensor] = {}
        for start in range(0, len(files), AT_ONCE):
            part = files[start : start + AT_ONCE]
            images = torch.stack([self.backbone.preprocess(open_image(file)) for file in part])
            grids |= dict(zip(part, self.backbone(images), strict=True))
        return grids

    def pairs(self, files: list[tuple[Path, Path]]) -> Pairs:
        """(before, after) pairs of picture files as a system sees them, without captions."""
        grids = self.see(sorted({file for pair in files for file in pair}))
        return Pairs(
            torch.stack([grids[before] for before, _ in files]),
            torch.stack([grids[after] for _, after in files]),
            torch.zeros(len(files), 1, dtype=torch.long),
            tuple(str(number) for number in range(len(files))),
        )

    @torch.inference_mode()
    def say(self, pairs: list[tuple[Path, Path]], search: Search | None = None) -> list[Said]:
        """A caption for every (before, after) pair of picture files. Raises UserError for one that cannot be read."""
        result: list[Said] = []
        _, height, width = self.facts.grid_shape
        for start in range(0, len(pairs), AT_ONCE):
            captions = self.system.caption(self.pairs(pairs[start : start + AT_ONCE]), search or Search())
            looks = self.system.looks(captions.attention, (height, width)).numpy()
            result += [
                read_out(tokens, look, self.system.sentence)
                for tokens, look in zip(captions.tokens.tolist(), looks, strict=True)
            ]
        return result


@functools.cache
def bundled_captioner() -> Captioner:
    """The captioner that is part of the kit."""
    return Captioner(BUNDLED)


def caption_pair(before: str | Path, after: str | Path, snapshot: str | Path | None = None) -> Said:
    """What changed between two picture files, in a sentence. snapshot: a folder; None takes the bundled one."""
    for file in (before, after):
        open_image(file)  # complain about a picture before anything heavy is loaded
    captioner = bundled_captioner() if snapshot is None else Captioner(snapshot)
    return captioner.say([(Path(before), Path(after))])[0]


@dataclass(frozen=True)
class TripleCaptions:
    """A scene's three pictures, what was said about change and distractor, and whether it is right (None: unknown).

    reference: one of the data set's captions. type: of the change. remark: what is wrong with the change caption, in
    words. looked_right: whether the caption's look peaks at the change. boxes: where the changed object is, x, y,
    width, height as shares of the picture; before and after for one that moved.
    """

    scene: int
    files: dict[str, Path]
    change: Said
    no_change: Said
    reference: str
    right: bool | None = None
    no_change_right: bool | None = None
    looked_right: bool | None = None
    type: str | None = None
    remark: str = ""
    boxes: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Records:
    """The scene graphs of a rendered world, by scene number."""

    by_scene: dict[int, dict[str, Any]]

    def __getitem__(self, scene: int) -> dict[str, Any]:
        return self.by_scene[scene]

    def triple(self, scene: int) -> Triple:
        return triple_from_dict(self.by_scene[scene])


def read_records(root: Path, scenes: list[int]) -> Records | None:
    """The records of these scenes in scenes.jsonl, None where there is no such file.

    Raises UserError for a broken line and for a scene that is not in it.
    """
    listing = root / "scenes.jsonl"
    if not listing.is_file():
        return None
    wanted, found = set(scenes), {}
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            if record["index"] in wanted:
                found[record["index"]] = record
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise UserError(
                f"line {number} of {listing} is no scene ({error!r}); render the world again, which keeps what is whole."
            ) from error
    if missing := wanted - set(found):
        raise UserError(
            f"{listing} lacks {len(missing)} scenes: {some(missing)}; render the world again, which keeps what is whole."
        )
    return Records(found)


def caption_world(
    captioner: Captioner, root: Path, scenes: list[int], search: Search | None = None
) -> list[TripleCaptions]:
    """Captions for triples of a data set, judged where it has scene graphs.

    Raises UserError for a scene without picture, caption or (in a rendered world) scene graph.
    """
    references = {scene_id(name): texts for name, texts in read_json(root / "change_captions.json").items()}
    if missing := [scene for scene in scenes if not references.get(scene)]:
        raise UserError(
            f"{root / 'change_captions.json'} has no caption for {len(missing)} scenes: {some(missing)}; make or "
            "download that file again."
        )
    records = read_records(root, scenes)
    files = {
        scene: {kind: root / PICTURE_FOLDERS[kind] / picture(kind, scene) for kind in KINDS}
        for scene in scenes
    }
    pairs = [(files[s]["default"], files[s][kind]) for s in scenes for kind in ("semantic", "nonsemantic")]
    said = captioner.say(pairs, search)
    rows = []
    for scene, change, no_change in zip(scenes, said[::2], said[1::2], strict=True):
        plain = TripleCaptions(scene, files[scene], change, no_change, references[scene][0])
        rows.append(plain if records is None else judged(plain, records[scene], records.triple(scene)))
    return rows


def judged(row: TripleCaptions, record: dict[str, Any], triple: Triple) -> TripleCaptions:
    """The row with everything that the scene graph tells about its captions."""
    claims, still = parse(row.change.sentence), parse(row.no_change.sentence)
    verdict, boxes = judge(claims, triple), change_boxes(record)
    width, height = record["size"]
    there = [box for box in boxes if box is not None]
    shown = there if triple.change.type == "move" else there[-1:]
    return TripleCaptions(
        row.scene,
        row.files,
        row.change,
        row.no_change,
        row.reference,
        right=verdict["statement"],
        no_change_right=still is not None and still.type == "none",
        looked_right=row.change.points_at(boxes, (width, height)),
        type=triple.change.type,
        remark=remark(claims, verdict),
        boxes=tuple((x / width, y / height, w / width, h / height) for x, y, w, h in shown),
    )


def remark(claims: Statement | None, verdict: dict[str, bool]) -> str:
    """What is wrong with a change caption, the gravest first; "" when nothing is."""
    if claims is None:
        return "not a sentence the scene graph can be asked about"
    if claims.type == "none":
        return "the change was missed"
    if not verdict["change_type"]:
        return "another kind of change"
    if not verdict["object"]:
        wrong = [
            name
            for name in ("size", "color", "material", "shape")
            if not verdict[name] and name in claims.thing
        ]
        return f"wrong object: {', '.join(wrong)}" if wrong else "more than one object could be meant"
    if not verdict["statement"]:
        return f"wrong new {claims.type}"
    return "" if verdict["statement_and_relation"] else "but the relation to the other object is wrong"


def change_boxes(record: dict[str, Any]) -> list[Any]:
    """The changed object's boxes in the default and the semantic picture; None where it is not there."""
    change, boxes = record["change"], record["boxes"]
    return [
        None if change[side] is None else boxes[kind][change[side]]
        for side, kind in (("before", "default"), ("after", "semantic"))
    ]


def facts_of(rows: list[TripleCaptions], root: Path) -> dict[str, Any] | None:
    """The figures of `idc.metrics.facts` over the rows, where there are scene graphs."""
    records = read_records(root, [row.scene for row in rows])
    if records is None:
        return None
    captions = {f"{row.scene:06d}.png": row.change.sentence for row in rows}
    captions |= {f"{row.scene:06d}.png_n": row.no_change.sentence for row in rows}
    return score_facts(captions, [records.triple(row.scene) for row in rows])


def pointing_scores(root: Path, rows: list[TripleCaptions], grid: tuple[int, int]) -> dict[str, float] | None:
    """Share of change captions that looked at the change, and what looking at random would score."""
    records = read_records(root, [row.scene for row in rows])
    if records is None:
        return None
    luck = []
    for row in rows:
        boxes, size = change_boxes(records[row.scene]), tuple(records[row.scene]["size"])
        sides = [boxes] if row.change.before is None else [boxes[:1], boxes[1:]]
        luck += [np.mean([chance(grid, side, size) for side in sides])]
    hits = [bool(row.looked_right) for row in rows]
    return {"pointing": float(np.mean(hits)), "chance": float(np.mean(luck)), "pairs": len(hits)}


def upsampled(look: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A look (H, W) as a smooth picture (height, width) of size (width, height), scaled to [0, 1]."""
    scaled = (look - look.min()) / max(float(np.ptp(look)), 1e-9)
    image = Image.fromarray((255 * scaled).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32) / 255


def heat(image: Image.Image, look: np.ndarray, boxes: tuple[tuple[float, ...], ...] = ()) -> Image.Image:
    """The picture dimmed where nobody looked, the boxes (shares of the picture) outlined."""
    weight = 0.25 + 0.75 * upsampled(look, image.size)[..., None]
    shown = Image.fromarray((np.asarray(image, dtype=np.float32) * weight).astype(np.uint8))
    drawing = ImageDraw.Draw(shown)
    for x, y, width, height in boxes:
        left, top = x * image.width, y * image.height
        right, bottom = left + width * image.width, top + height * image.height
        drawing.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=3)
        drawing.rectangle((left, top, right, bottom), outline="white")
    return shown


def wrapped(sentence: str, width: int = 38) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(sentence or "(nothing)", width))


def draw(axis: Axes, image: Image.Image, title: str, color: str = NEUTRAL, size: int = 9) -> None:
    """A picture without axes, under its title."""
    axis.imshow(np.asarray(image), interpolation="bicubic")
    axis.set_axis_off()
    axis.set_title(title, fontsize=size, color=color)


def triplet_figure(rows: list[TripleCaptions]) -> Figure:
    """Before, after with its caption, where the caption looked, distractor with its caption; one row a scene."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.75 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    color = {True: RIGHT, False: WRONG, None: NEUTRAL}
    for row, (before, after, look, distractor) in zip(rows, axes, strict=True):
        pictures = {kind: open_image(file) for kind, file in row.files.items()}
        draw(before, pictures["default"], "before")
        draw(after, pictures["semantic"], wrapped(MARK[row.right] + row.change.sentence), color[row.right])
        draw(look, heat(pictures["semantic"], row.change.look, row.boxes), "where it looked")
        sentence = wrapped(MARK[row.no_change_right] + row.no_change.sentence)
        draw(distractor, pictures["nonsemantic"], sentence, color[row.no_change_right])
    return figure


def pair_figure(before: str | Path, after: str | Path, said: Said) -> Figure:
    """Two pictures, the caption, where it looked, and where each of its telling words looked."""
    from matplotlib.figure import Figure

    words = said.telling_words()[:12]
    figure = Figure(figsize=(11, 4.8 if words else 3.4), layout="constrained")
    grid = figure.add_gridspec(2 if words else 1, 1, height_ratios=(2.4, 1) if words else None)
    top = grid[0].subgridspec(1, 3)
    second = open_image(after)
    for place, image, title in (
        (top[0], open_image(before), "before"),
        (top[1], second, "after"),
        (top[2], heat(second, said.look), "where it looked"),
    ):
        draw(figure.add_subplot(place), image, title, size=10)
    for number, (word, look) in enumerate(words):
        draw(figure.add_subplot(grid[1].subgridspec(1, len(words))[number]), heat(second, look), word, size=8)
    figure.suptitle(wrapped(said.sentence, 100))
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; the ending says how. Raises UserError for one that is no kind of drawing."""
    kind = check_ending(path, DRAWINGS)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=110)


def check_ending(path: Path, endings: tuple[str, ...]) -> str:
    ending = path.suffix.lstrip(".").lower()
    if ending not in endings:
        raise UserError(f"--out is {path}; its name must end in .{', .'.join(endings)}.")
    return ending


def show_run(run: Path, snapshot: str, split: str, count: int, out: Path) -> None:
    """The HTML report of a run. Raises UserError for a folder that is no run, and for data that are not there."""
    from idc.config import load_config
    from idc.report import write_report

    check_ending(out, ("html",))
    if not (run / "config.yaml").is_file():
        raise UserError(f"{run} is no run: it has no config.yaml. `python -m idc.train` writes runs.")
    data = load_config(run / "config.yaml").data
    if data.kind != "clevr_change":
        raise UserError(
            f"{run} was trained on {data.kind}, and the report is about triples as those of CLEVR-Change. idc.test and "
            "idc.evaluate take any data; `python -m idc.show --before A --after B` captions two pictures."
        )
    root, features = Path(data.root), Path(data.path("grids"))
    folder = BUNDLED if snapshot == "bundled" else find_snapshot(run, snapshot)
    same = features.exists() and read_facts(folder).backbone == data.backbone
    captioner = Captioner(folder, open_grids(features, split) if same else None)
    scenes = split_of(root, split)
    if not (root / "scenes.jsonl").is_file():
        scenes = scenes[:count]
    rows = caption_world(captioner, root, scenes)
    facts = facts_of(rows, root)
    looks = pointing_scores(root, rows, rows[0].change.look.shape)
    write_report(out, run, captioner.facts, rows, split, count=count, facts=facts, looks=looks)
    print(f"the report is {out}")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.show", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="a run's folder: write its report")
    what.add_argument("--world", type=Path, help="a data set's folder: caption its triples")
    what.add_argument("--before", type=Path, help="a picture; with --after: say what changed")
    parser.add_argument("--after", type=Path, help="the picture to compare --before with")
    parser.add_argument(
        "--snapshot", help="bundled, or a snapshot's folder; with --run also best, last or a step"
    )
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="of --run")
    parser.add_argument("--n", type=int, default=12, help="how many triples to draw (default 12)")
    parser.add_argument(
        "--out", type=Path, help=f"file to write: .html for a run, else .{', .'.join(DRAWINGS)}"
    )
    add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.n < 1:
        raise UserError(f"--n is {arguments.n}; it must be at least 1.")
    if arguments.out is not None and not arguments.run:
        check_ending(arguments.out, DRAWINGS)
    snapshot = BUNDLED if arguments.snapshot in (None, "bundled") else arguments.snapshot
    adopt(arguments.pieces, arguments.unchecked)

    if arguments.run:
        out = arguments.out or arguments.run / "report.html"
        show_run(arguments.run, arguments.snapshot or "best", arguments.split, arguments.n, out)
    elif arguments.world:
        scenes = sorted(scene_id(name) for name in read_json(arguments.world / "change_captions.json"))
        rows = caption_world(Captioner(snapshot), arguments.world, scenes[: arguments.n])
        for row in rows:
            print(f"scene {row.scene:06d}: {row.change.sentence}\n  distractor: {row.no_change.sentence}")
        if arguments.out:
            save_figure(triplet_figure(rows), arguments.out)
    else:
        if arguments.after is None:
            raise UserError("--before needs a second picture to compare it with: --after FILE.")
        said = caption_pair(arguments.before, arguments.after, snapshot)
        print(said.sentence)
        if arguments.out:
            save_figure(pair_figure(arguments.before, arguments.after, said), arguments.out)


if __name__ == "__main__":
    main()
