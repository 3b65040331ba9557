"""Rendering image triples: one process against two, and the share of the time outside the renderer.

What is timed is `render_world` as the command calls it, processes started and files written. “renderer” is the time that
the renderer itself takes for the same triples (pictures and masks), “whole” is the time of all of it, in one process.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.harness import Case, Options
from idc.files import atomic_write
from idc.world import render as renderer
from idc.world.layout import Settings, append, render_scene, render_world, versions
from idc.world.render import SAMPLES

GOAL = "P8"
TITLE = "rendering image triples"
SETTINGS = Settings(seed=3, size=(160, 120), samples=SAMPLES, denoised=True, masks=False)


def world(count: int, workers: int) -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    render_world(folder / "world", count, [count, 0, 0], SETTINGS, workers=workers)
    return folder


def digest(folder: Path) -> str:
    """Of all files with their names."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    parts = (str(file.relative_to(folder)).encode() + file.read_bytes() for file in files)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def check(options: Options) -> list[str]:
    for count in (1, 2):
        assert digest(world(count, 1)) == digest(world(count, 2)), count
    return ["the files of 1 and of 2 scenes, byte by byte, with one process and with two"]


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    if variant.endswith("processes") or variant == "1 process":
        return lambda: world(size["scenes"], int(variant[0]))
    return inside(size["scenes"], variant == "renderer")


def inside(scenes: int, renderer_only: bool) -> Callable[[], object]:
    """One process, no executor: whole triples with their files, or only what they ask of the renderer, again."""
    installed = versions(SETTINGS.denoised)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def whole() -> None:
        for index in range(scenes):
            record, files = render_scene(SETTINGS, installed, index)
            for name, content in files.items():
                with atomic_write(folder / name) as path:
                    path.write_bytes(content)
            append(folder / "journal", record)

    if not renderer_only:
        return whole
    calls: list[Callable[[], object]] = []
    with ExitStack() as stack:
        for name in ("render", "instance_mask"):
            real = getattr(renderer, name)

            def recorded(*args: Any, real: Any = real, **options: Any) -> Any:
                calls.append(partial(real, *args, **options))
                return real(*args, **options)

            stack.enter_context(patch.object(renderer, name, recorded))
        whole()
    return lambda: [call() for call in calls]


CASES = {
    "small": [
        Case("4 triples, the renderer alone", "renderer", "whole", {"scenes": 4}, {"cpu_s": None}, 1, 1)
    ],
    "full": [
        Case("64 triples", "1 process", "2 processes", {"scenes": 64}, {"wall_s": 1.85}, 1, 1),
        Case("16 triples, the renderer alone", "renderer", "whole", {"scenes": 16}, {"cpu_s": 0.9}, 1, 1),
    ],
}
