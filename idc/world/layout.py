"""Render triples and write them in the exact file layout of CLEVR-Change.

`render_world` is deterministic (the same settings give the same files, however many processes work),
resumable (a finished scene is never rendered again) and lets the workers only compute: they hand back
bytes, and this process alone writes files. So a worker may just as well be on another machine.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from idc.errors import UserError
from idc.files import atomic_write
from idc.world.scene import CHANGE_TYPES

FOLDERS = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}


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


def png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def render_scene(settings: Settings, index: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """One triple: its record for scenes.jsonl, and its files by path relative to the root."""
    from idc.world.render import MASK_SIZE, box, instance_mask, render, visible
    from idc.world.triple import sample_triple, triple_to_dict

    triple = sample_triple(settings.seed, index, visible=visible)
    shots = {
        "default": (triple.default, triple.default_view),
        "semantic": (triple.semantic, triple.semantic_view),
        "nonsemantic": (triple.default, triple.nonsemantic_view),
    }
    scale = np.array([settings.size[0] / MASK_SIZE[0], settings.size[1] / MASK_SIZE[1]] * 2)
    files, boxes = {}, {}
    for number, (kind, (scene, view)) in enumerate(shots.items()):
        noise = int(np.random.default_rng((settings.seed, index, 4, number)).integers(2**31))
        pixels = render(
            scene, view, size=settings.size, samples=settings.samples, denoise=settings.denoised, seed=noise
        )
        files[f"{FOLDERS[kind]}/{picture_name(kind, index)}"] = png(pixels)
        mask = instance_mask(scene, view)
        found = (box(mask, i) for i in range(len(scene.objects)))
        boxes[kind] = [None if b is None else [round(float(v), 2) for v in b * scale] for b in found]
        if settings.masks:
            files[f"masks/{picture_name(kind, index)}"] = png(instance_mask(scene, view, size=settings.size))
    record = triple_to_dict(triple) | {"boxes": boxes, "size": list(settings.size), "seed": settings.seed}
    return json.loads(json.dumps(record)), files


@contextmanager
def executor(workers: int, dask: str | None) -> Iterator[tuple[Executor, int]]:
    """Something to submit work to, and how many pieces of work to keep under way."""
    if dask is None:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool, 2 * workers
        return
    from distributed import Client

    try:
        client = Client(dask, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {dask} ({error}). Start one with `dask scheduler` and workers with "
            "`dask worker ADDRESS --nthreads 1`, or leave --dask out to render on this machine."
        ) from error
    with client:
        yield client.get_executor(), 2 * max(1, sum(client.nthreads().values()))


def read_journal(path: Path) -> dict[int, dict[str, Any]]:
    """The records of finished scenes; a line cut off by a kill is left aside."""
    records = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records[record["index"]] = record
    return records


def check_settings(root: Path, settings: Settings) -> None:
    """Refuse to mix pictures of different settings in one folder."""
    path = root / "world.json"
    if not path.is_file():
        if any((root / folder).is_dir() for folder in FOLDERS.values()):
            raise UserError(
                f"{root} holds pictures but no world.json, so it was not rendered by this kit. Choose another --out."
            )
        return
    old = json.loads(path.read_text(encoding="utf-8"))["settings"]
    for name, value in json.loads(json.dumps(asdict(settings))).items():
        if old.get(name) != value:
            raise UserError(
                f"{root} was rendered with {name} = {old.get(name)}, now it is {value}; one folder holds one world. "
                "Use the old settings to continue there, or choose another --out."
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


def write_json(path: Path, value: Any) -> None:
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
    for name, record in by_name.items():
        change = record["change"]
        types[change["type"]].append(f"{record['index']:06d}.png")
        before, after = change["before"], change["after"]
        boxes[name] = {
            "bbox_before": None if before is None else record["boxes"]["default"][before],
            "bbox_after": None if after is None else record["boxes"]["semantic"][after],
        }
    write_json(root / "type_mapping.json", types)
    write_json(root / "change_captions_with_bbox.json", boxes)
    write_json(root / "splits.json", splits)
    with atomic_write(root / "scenes.jsonl") as path:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def render_world(
    root: Path,
    count: int,
    sizes: list[int],
    settings: Settings,
    *,
    workers: int = 1,
    dask: str | None = None,
) -> None:
    """Render scenes 0 … count - 1 into `root` and write the listings. See the module's first lines."""
    splits = split_ids(count, sizes, settings.seed)
    check_settings(root, settings)
    root.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in ("mitsuba", "numpy")}
    if settings.denoised:
        versions["mitsuba-oidn"] = importlib.metadata.version("mitsuba-oidn")
    write_json(root / "world.json", {"settings": asdict(settings), "versions": versions})

    journal = root / "scenes.journal.jsonl"
    records = {i: record for i, record in read_journal(journal).items() if i < count}
    todo = iter([i for i in range(count) if i not in records])
    with (
        tqdm(total=count, initial=len(records), desc="rendering", unit="scene") as progress,
        executor(workers, dask) as (pool, ahead),
    ):
        under_way: set[Future[tuple[dict[str, Any], dict[str, bytes]]]] = set()
        while True:
            while len(under_way) < ahead and (index := next(todo, None)) is not None:
                under_way.add(pool.submit(render_scene, settings, index))
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                record, files = future.result()
                for name, content in files.items():
                    with atomic_write(root / name) as path:
                        path.write_bytes(content)
                with journal.open("a", encoding="utf-8") as lines:
                    lines.write("\n" * lacks_newline(journal) + json.dumps(record) + "\n")
                records[record["index"]] = record
                progress.update()
    write_listings(root, [records[i] for i in range(count)], splits)


def lacks_newline(path: Path) -> bool:
    """Whether the file's last line was cut off before its end."""
    with path.open("rb") as file:
        if file.seek(0, io.SEEK_END) == 0:
            return False
        file.seek(-1, io.SEEK_END)
        return file.read(1) != b"\n"
