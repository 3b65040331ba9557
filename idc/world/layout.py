"""Render triples and write them in the exact file layout of CLEVR-Change.

`render_world` is deterministic (the same settings give the same files, however many processes work) and
resumable (a finished scene is never rendered again: its record goes to a journal once its pictures are
written). Workers only compute: they hand back bytes, and this process alone writes files. So a worker may
just as well be on another machine.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from idc.cluster import dask_executor
from idc.errors import UserError
from idc.files import atomic_write, disk_is_full
from idc.world.render import LOOK, MASK_SIZE
from idc.world.scene import CHANGE_TYPES

FOLDERS = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}
JOURNAL = "scenes.journal.jsonl"  # the records so far, in the order in which scenes were finished


@dataclass(frozen=True)
class Settings:
    """What determines a world's pictures, apart from how many there are. size is (width, height)."""

    seed: int
    size: tuple[int, int]
    samples: int
    denoised: bool
    masks: bool = False


def picture_name(kind: str, index: int) -> str:
    """ "CLEVR_default_000012.png" for kind "default" and scene 12."""
    return f"CLEVR_{kind}_{index:06d}.png"


def file_names(index: int, masks: bool) -> list[str]:
    """The pictures of scene `index`, relative to the root."""
    names = [f"{folder}/{picture_name(kind, index)}" for kind, folder in FOLDERS.items()]
    return names + [f"masks/{picture_name(kind, index)}" for kind in FOLDERS] * masks


def versions(denoised: bool) -> dict[str, str]:
    """What else decides about the bits of a picture: the installed versions of what computes them."""
    names = ["mitsuba", "numpy", *["mitsuba-oidn"] * denoised]
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise UserError(
                f"rendering this world needs the package {name}, which is not installed here. "
                f"Install it (pip install {name}) on every machine that renders."
            ) from error
    return found


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=5)  # 2 % larger than 6, half the time
    return stream.getvalue()


def render_scene(
    settings: Settings, expected: dict[str, str], index: int
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """One triple: its record for scenes.jsonl, and its files by path relative to the root.

    Boxes are those of the visible pixels, read from an identity buffer 80 pixels wide and given in pixels
    of the picture: exact to one pixel of that buffer. Raises UserError where the versions installed are
    not the `expected` ones, as on another machine.
    """
    from idc.world.render import box, instance_mask, render, visible
    from idc.world.triple import sample_triple, triple_to_dict

    if (found := versions(settings.denoised)) != expected:
        raise UserError(
            f"a worker renders with {found}, the command was started with {expected}; the pictures would "
            "differ. Install the same versions everywhere."
        )
    triple = sample_triple(settings.seed, index, visible=visible)
    shots = (
        (triple.default, triple.default_view),
        (triple.semantic, triple.semantic_view),
        (triple.default, triple.nonsemantic_view),
    )
    width, height = settings.size
    coarse = (MASK_SIZE[0], max(1, round(MASK_SIZE[0] * height / width)))
    scale = np.array([width / coarse[0], height / coarse[1]] * 2)
    files, boxes = {}, {}
    for number, (kind, (scene, view)) in enumerate(zip(FOLDERS, shots, strict=True)):
        noise = int(np.random.default_rng((settings.seed, index, 4, number)).integers(2**31))
        pixels = render(
            scene, view, size=settings.size, samples=settings.samples, denoise=settings.denoised, seed=noise
        )
        name = picture_name(kind, index)
        files[f"{FOLDERS[kind]}/{name}"] = png(pixels)
        mask = instance_mask(scene, view, size=coarse)
        found_boxes = (box(mask, i) for i in range(len(scene.objects)))
        boxes[kind] = [None if b is None else [round(float(v)) for v in b * scale] for b in found_boxes]
        if settings.masks:
            files[f"masks/{name}"] = png(instance_mask(scene, view, size=settings.size))
    record = triple_to_dict(triple) | {"boxes": boxes, "size": list(settings.size), "seed": settings.seed}
    return json.loads(json.dumps(record)), files


def start_worker() -> None:
    """Leave Ctrl-C to the main process, and end with it, even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def executor(workers: int, dask: str | None) -> Iterator[tuple[Executor, int]]:
    """Something to submit work to, and how many pieces of work to keep under way."""
    if dask is None:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_worker)
        try:
            yield pool, 2 * workers
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was ended from outside, most often because memory ran out. Finished scenes "
                f"are kept: run the same command again to continue, perhaps with fewer than {workers} --workers."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
        return
    with dask_executor(dask, "render") as cluster:
        yield cluster


def read_records(root: Path) -> dict[int, dict[str, Any]]:
    """The records of finished scenes by index; a line cut off by a kill is left aside."""
    records = {}
    for path in (root / "scenes.jsonl", root / JOURNAL):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records[record["index"]] = record
    return records


def finished(root: Path, count: int, settings: Settings) -> dict[int, dict[str, Any]]:
    """The records among the first `count` scenes whose pictures are there, too."""
    present = [root / folder for folder in (*FOLDERS.values(), "masks") if (root / folder).is_dir()]
    there = {f"{folder.name}/{path.name}" for folder in present for path in folder.iterdir()}
    return {
        index: record
        for index, record in read_records(root).items()
        if index < count and there.issuperset(file_names(index, settings.masks))
    }


def sweep(root: Path) -> None:
    """Remove the temporary files of writes that a kill cut off."""
    for folder in (*FOLDERS.values(), "masks"):
        for path in (root / folder).glob(".CLEVR_*.png.*"):
            path.unlink(missing_ok=True)
    for pattern in (".*.json.*.json", ".scenes.jsonl.*"):
        for path in root.glob(pattern):
            path.unlink(missing_ok=True)


def check_settings(root: Path, settings: Settings, installed: dict[str, str]) -> None:
    """Raise UserError, naming the setting, rather than mix different pictures in one folder."""
    path = root / "world.json"
    if not path.is_file():
        if any((root / folder).is_dir() for folder in FOLDERS.values()):
            raise UserError(
                f"{root} holds pictures but no world.json, so it was not rendered by this kit. "
                "Choose another --out."
            )
        return
    try:
        world = json.loads(path.read_text(encoding="utf-8"))
        old, versions, look = world["settings"], world["versions"], world.get("look", 1)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged, so nobody can say how the pictures beside it were rendered. "
            "Choose another --out, or delete that folder."
        ) from error
    differences = [
        (name, old.get(name), value)
        for name, value in json.loads(json.dumps(asdict(settings))).items()
        if old.get(name) != value
    ]
    differences += [
        (f"{name} version", versions.get(name), value)
        for name, value in installed.items()
        if versions.get(name) != value
    ]
    differences += [("look", look, LOOK)] * (look != LOOK)
    for name, before, now in differences[:1]:
        raise UserError(
            f"{root} was rendered with {name} = {before}, now it is {now}; one folder holds one world. "
            f"Use {before} to continue there, or choose another --out."
        )


def split_ids(count: int, sizes: list[int], seed: int) -> dict[str, list[int]]:
    """Train, val and test ids; every split has the change types in equal shares (blocks of five stay whole).

    Raises UserError when the sizes do not add up to `count`.
    """
    if sum(sizes) != count or len(sizes) != 3:
        raise UserError(
            f"--splits {','.join(map(str, sizes))} must be three numbers that add up to {count} scenes."
        )
    width = len(CHANGE_TYPES)
    blocks = np.random.default_rng((seed, 5)).permutation(-(-count // width))
    order = [i for block in blocks for i in range(block * width, (block + 1) * width) if i < count]
    edges = np.cumsum([0, *sizes])
    return {name: sorted(order[edges[k] : edges[k + 1]]) for k, name in enumerate(("train", "val", "test"))}


def split_sizes(text: str | None, count: int) -> list[int]:
    """Train, val and test counts from "1500,200,300" or shares "0.8,0.1,0.1"; None is 8 : 1 : 1.

    Shares are rounded to whole scenes, the rest goes to train. Raises UserError on anything else.
    """
    try:
        numbers = [float(part) for part in (text or "0.8,0.1,0.1").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 3 and min(numbers) >= 0:
        if abs(sum(numbers) - 1) < 1e-6 and count > 1:
            val, test = (round(share * count) for share in numbers[1:])
            return [count - val - test, val, test]
        if sum(numbers) == count and all(number.is_integer() for number in numbers):
            return [int(number) for number in numbers]
    raise UserError(
        f"--splits {text} must be three numbers, train,val,test, that add up to {count} scenes or, as shares, to 1."
    )


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value) + "\n", encoding="utf-8")


def write_listings(root: Path, records: list[dict[str, Any]], splits: dict[str, list[int]]) -> None:
    """The JSON files of the layout, from the records of all scenes."""
    by_name = {picture_name("default", record["index"]): record for record in records}
    for file, field in (
        ("change_captions.json", "sentences"),
        ("reversed_captions.json", "reversed_sentences"),
        ("no_change_captions.json", "no_change_sentences"),
    ):
        write_json(root / file, {name: record[field] for name, record in by_name.items()})
    types: dict[str, list[str]] = {type: [] for type in CHANGE_TYPES}
    boxes = {}
    for record in records:
        change = record["change"]
        types[change["type"]].append(f"{record['index']:06d}.png")
        before, after = change["before"], change["after"]
        boxes[str(record["index"])] = {  # the published file numbers its scenes without zeros in front
            "bbox_before": None if before is None else record["boxes"]["default"][before],
            "bbox_after": None if after is None else record["boxes"]["semantic"][after],
        }
    write_json(root / "type_mapping.json", types)
    write_json(root / "change_captions_with_bbox.json", boxes)
    write_json(root / "splits.json", splits)
    with atomic_write(root / "scenes.jsonl") as path:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def append(journal: Path, record: dict[str, Any]) -> None:
    """Add a line to the journal; a line that was cut off before stays apart.

    Raises UserError when the disk is full.
    """
    try:
        with journal.open("a+b") as lines:
            if lines.tell():
                lines.seek(-1, io.SEEK_END)
                lines.write(b"" if lines.read(1) == b"\n" else b"\n")
            lines.write(json.dumps(record).encode() + b"\n")
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"no space left on the disk while writing {journal}. Finished scenes are kept: free some "
                "space and run the same command again."
            ) from error
        raise


def render_world(
    root: Path,
    count: int,
    sizes: list[int],
    settings: Settings,
    *,
    workers: int = 1,
    dask: str | None = None,
) -> None:
    """Render scenes 0 … count - 1 into `root` and write the listings. See the module's first lines.

    sizes: scenes in train, val and test. workers: processes on this machine. dask: a scheduler's address,
    instead of these. Raises UserError on a folder of other settings, a full disk, a lost worker.
    """
    splits = split_ids(count, sizes, settings.seed)
    installed = versions(settings.denoised)
    check_settings(root, settings, installed)
    sweep(root)
    write_json(root / "world.json", {"settings": asdict(settings), "versions": installed, "look": LOOK})

    records = finished(root, count, settings)
    todo = iter([index for index in range(count) if index not in records])
    if len(records) < count:
        with (
            executor(workers, dask) as (pool, ahead),
            tqdm(
                total=count, initial=len(records), desc="rendering", unit="scene", smoothing=0.05
            ) as progress,
        ):
            job = functools.partial(render_scene, settings, installed)
            under_way: set[Future[tuple[dict[str, Any], dict[str, bytes]]]] = set()
            while True:
                while len(under_way) < ahead and (index := next(todo, None)) is not None:
                    under_way.add(pool.submit(job, index))
                if not under_way:
                    break
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    record, files = future.result()
                    for name, content in files.items():
                        with atomic_write(root / name) as path:
                            path.write_bytes(content)
                    append(root / JOURNAL, record)
                    records[record["index"]] = record
                    progress.update()
    write_listings(root, [records[index] for index in range(count)], splits)
    (root / JOURNAL).unlink(missing_ok=True)
