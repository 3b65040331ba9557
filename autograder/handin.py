"""The hand-in of problem set 6: a folder with what a training run reached.

    collect(run, world, Path("report"))       after training: results, curves, captions, figure
    check_handin(Path("report"))              is everything there?
    enter_contest(run, Path("contest"), Path("report"))     captions for the instructor's pictures

results.json (val and test), metrics.jsonl (curves), pieces.json (sources of one's own pieces), triples.png (the figure),
sc_results.json and nsc_results.json (the captions of the test split, so that the results can be computed again). For a
contest also contest.json (captions) and snapshot/ (what said them). Whoever grades reads all of this as bytes that may hold
anything: `read_object` and its like answer with a sentence, never with a crash.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.checks.exercise import Status, Verdict
from autograder.notebook import Points
from idc.errors import UserError

ENOUGH = 0.9  # a run has learned something when its caption loss fell to this share
TRIPLES = 6  # in the figure
MOST = 32 * 2**20  # bytes of a file of the report
MOST_JSON = 4 * 2**20  # bytes of JSON: in memory it takes many times that
DIGITS = 15  # of a whole number
PNG = b"\x89PNG\r\n\x1a\n"
SNAPSHOT = ("model.safetensors", "config.yaml", "vocab.json", "snapshot.json")


def collect(
    run: Path,
    world: Path,
    folder: Path,
    scenes: list[int] | None = None,
    contest: Path | None = None,
    pseudonym: str = "",
) -> None:
    """Caption val and test with the best snapshot, score the captions, draw triples; all goes into `folder`.

    scenes: of the figure; None takes the first of the test split. contest, pseudonym: see `enter_contest`.
    """
    from idc.captioner.search import Search
    from idc.config import load_config
    from idc.data.layout import split_of
    from idc.evaluate import evaluate
    from idc.show import Captioner, caption_world, save_figure, triplet_figure
    from idc.test import test
    from idc.training.checkpoint import find_snapshot
    from idc.training.loop import open_split

    folder.mkdir(parents=True, exist_ok=True)
    config = run / "config.yaml"
    results = {}
    for split in ("val", "test"):
        captions = test(config, [], run, "best", split, Search(), "cpu", None)
        results[split] = evaluate(captions, world)
    for name in ("sc_results.json", "nsc_results.json"):
        shutil.copyfile(captions / name, folder / name)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name in ("metrics.jsonl", "pieces.json", "config.yaml"):
        (folder / name).unlink(missing_ok=True)
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    scenes = scenes or split_of(world, "test")[:TRIPLES]
    captioner = Captioner(find_snapshot(run, "best"), open_split(load_config(config), "test").grids)
    save_figure(triplet_figure(caption_world(captioner, world, scenes)), folder / "triples.png")
    if contest is not None:
        enter_contest(run, contest, folder, pseudonym)


def enter_contest(run: Path, contest: Path, folder: Path, pseudonym: str = "") -> None:
    """Caption the pairs of a contest with the best snapshot; captions and snapshot go into `folder`.

    contest: the folder from your instructor. pseudonym: your name on the leaderboard, "" for none.
    Raises UserError for a folder that is no contest and for a run without snapshots.
    """
    from idc.files import atomic_write
    from idc.show import Captioner
    from idc.training.checkpoint import find_snapshot

    files = contest_pairs(contest)
    snapshot = find_snapshot(run, "best")
    said = Captioner(snapshot).say(list(files.values()))
    captions = {pair: each.sentence for pair, each in zip(files, said, strict=True)}
    entry = {"contest": contest_name(contest), "pseudonym": pseudonym, "captions": captions}
    for name in SNAPSHOT:
        (folder / "snapshot").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot / name, folder / "snapshot" / name)
    with atomic_write(folder / "contest.json") as path:
        path.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


def contest_name(contest: Path) -> str:
    """Which contest a folder holds. Raises UserError for a folder that is none."""
    path = contest / "contest.json"
    if not path.is_file():
        raise UserError(
            f"{contest} is no contest: it has no contest.json. Unpack what your instructor gave you there."
        )
    name = read_object(path.read_bytes(), str(path)).get("contest")
    if not isinstance(name, str):
        raise UserError(
            f"{path} does not say which contest it is; unpack what your instructor gave you again."
        )
    return name


def contest_pairs(contest: Path) -> dict[str, tuple[Path, Path]]:
    """The picture files (before, after) of a contest by pair. Raises UserError where some are missing."""
    contest_name(contest)
    sides = [{path.stem: path for path in (contest / side).glob("*.png")} for side in ("before", "after")]
    before, after = sides
    if not before or before.keys() != after.keys():
        raise UserError(
            f"{contest} has {len(before)} pictures before and {len(after)} after, which do not match; unpack what your "
            "instructor gave you again."
        )
    return {pair: (before[pair], after[pair]) for pair in sorted(before)}


def check_handin(folder: Path) -> Points:
    """A point each: the loss fell, val and test results are there, so is the figure, and some piece is your own."""
    files = {}
    for name in FOUND:
        path = folder / name
        if path.is_file():
            with path.open("rb") as stream:
                files[name] = stream.read(MOST + 1)
    return check_files(files, f"{folder}/")


def check_files(files: Mapping[str, bytes], where: str = "report/") -> Points:
    """What `check_handin` says, of a report that came as bytes, by name in its folder."""
    missing = []
    for name, (what, holds) in FOUND.items():
        try:
            there, reason = name in files and holds(files[name], name), ""
        except UserError as error:
            there, reason = False, f" ({str(error).rstrip('.')})"
        if not there:
            missing.append(what + reason)
    if not missing:
        verdict = Verdict(Status.RIGHT, f"ps6.1: everything is in {where}. The rest is your report.")
    else:
        status = Status.NOT_ATTEMPTED if len(missing) == len(FOUND) else Status.WRONG
        verdict = Verdict(status, f"ps6.1: {where} lacks {'; '.join(missing)}.")
    return Points(len(FOUND) - len(missing), verdict)


def read_json(data: bytes, name: str, most: int = MOST_JSON, numbers: str = "finite") -> Any:
    """The content of a JSON file that anybody may have written.

    numbers: "finite", or "any" to let NaN and infinities pass. Raises UserError for more than `most` bytes, for text that is
    not UTF-8, for what is no JSON, is nested too deeply, names a key twice or holds a number that is not finite.
    """
    if len(data) > most:
        raise too_large(name, most)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    only: dict[str, Any] = {"parse_constant": no_number, "parse_float": finite} if numbers == "finite" else {}
    try:
        return json.loads(text, object_pairs_hook=each_key_once, parse_int=short, **only)
    except ValueError as error:
        raise UserError(f"{name} cannot be read as JSON: {str(error)[:200]}.") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply.") from error


def read_object(data: bytes, name: str, most: int = MOST_JSON, numbers: str = "finite") -> dict[str, Any]:
    """Likewise, for a file that must hold an object."""
    content = read_json(data, name, most, numbers)
    if not isinstance(content, dict):
        raise UserError(f"{name} must hold an object {{…}}, not {kind(content)}.")
    return content


def too_large(name: str, most: int) -> UserError:
    return UserError(f"{name} is larger than {most / 2**20:.0f} MB, more than such a file ever needs.")


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"“{printable(key)}” stands there twice")
        found[key] = value
    return found


def printable(text: str, most: int = 80) -> str:
    """The beginning of a text that anybody may have written, as it may stand in a message."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:most])


def short(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number that can be compared")


def finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else no_number(text[:20])


def kind(value: Any) -> str:
    """What a value of a JSON file is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def loss_fell(data: bytes, name: str) -> bool:
    """Whether the caption loss of a metrics.jsonl ended below ENOUGH of its beginning."""
    if len(data) > MOST:
        raise too_large(name, MOST)
    places = data.find(b'"loss/caption"'), data.rfind(b'"loss/caption"')
    if places[0] < 0:
        return False
    lines = [data[data.rfind(b"\n", 0, place) + 1 :].split(b"\n", 1)[0] for place in places]
    losses: list[Any] = [
        read_object(line, f"a line of {name}", numbers="any").get("loss/caption") for line in lines
    ]
    return all(map(is_figure, losses)) and losses[1] < ENOUGH * losses[0]


def is_figure(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def has_both_splits(data: bytes, name: str) -> bool:
    return {"val", "test"} <= read_object(data, name).keys()


def has_a_piece(data: bytes, name: str) -> bool:
    return bool(read_json(data, name))


def is_figure_of_triples(data: bytes, name: str) -> bool:
    """Whether the bytes are a whole PNG that is not a narrow strip; nothing of it is unpacked."""
    if len(data) > MOST:
        raise too_large(name, MOST)
    if not data.startswith(PNG):
        raise UserError(f"{name} is no PNG picture")
    place, chunks = len(PNG), list[bytes]()
    while place + 12 <= len(data) and chunks[-1:] != [b"IEND"]:
        length, chunk = struct.unpack(">I4s", data[place : place + 8])
        chunks.append(chunk)
        place += 12 + length
    if chunks[:1] != [b"IHDR"] or chunks[-1:] != [b"IEND"] or place > len(data):
        raise UserError(f"{name} is cut off or damaged")
    width, height = struct.unpack(">II", data[len(PNG) + 8 : len(PNG) + 16])
    return width > height / 4


FOUND: dict[str, tuple[str, Callable[[bytes, str], bool]]] = {
    "metrics.jsonl": ("a training run whose caption loss fell", loss_fell),
    "results.json": ("results on val and test", has_both_splits),
    "triples.png": ("the figure of triples", is_figure_of_triples),
    "pieces.json": ("at least one piece of your own", has_a_piece),
}
