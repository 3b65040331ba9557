"""A world on disk: the published layout, the same files however they come about, nothing mixed or lost."""

from __future__ import annotations

import errno
import importlib.metadata
import itertools
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idc import cluster
from idc.errors import UserError
from idc.world import layout
from idc.world import render as renderer
from idc.world.layout import (
    FOLDERS,
    JOURNAL,
    Settings,
    executor,
    picture_name,
    render_world,
    split_ids,
    split_sizes,
)
from idc.world.render import visible
from idc.world.scene import CHANGE_TYPES
from idc.world.triple import sample_triple, triple_from_dict

SCRIPTS = Path(__file__).parents[2] / "data_scripts"
SETTINGS = Settings(seed=4, size=(64, 48), samples=2, denoised=True, masks=True)
SCENES, SIZES = 10, [5, 0, 5]
COMMAND = [str(SCRIPTS / "render_world.py"), "--scenes", "10", "--seed", "4", "--size", "64x48"]
COMMAND += ["--samples", "2", "--masks", "--splits", "5,0,5"]


def files(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def read(root: Path, name: str) -> dict:
    return json.loads((root / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten scenes, rendered by one worker without interruption."""
    root = tmp_path_factory.mktemp("rendered") / "world"
    render_world(root, SCENES, SIZES, SETTINGS, workers=1)
    return root


@pytest.fixture
def copy(world: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(world, tmp_path / "world"))


def test_layout_is_the_published_one(world: Path) -> None:
    names = [f"CLEVR_default_{index:06d}.png" for index in range(SCENES)]
    for kind, folder in (("default", "images"), ("semantic", "sc_images"), ("nonsemantic", "nsc_images")):
        there = sorted(path.name for path in (world / folder).iterdir())
        assert there == [name.replace("default", kind) for name in names]
        with Image.open(world / folder / there[0]) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (64, 48), "RGB")
    for file in ("change_captions.json", "no_change_captions.json", "reversed_captions.json"):
        captions = read(world, file)
        assert list(captions) == names
        assert all(len(sentences) > 1 and all(sentences) for sentences in captions.values())
    splits = read(world, "splits.json")
    assert list(splits) == ["train", "val", "test"]
    assert sorted(itertools.chain.from_iterable(splits.values())) == list(range(SCENES))
    types = read(world, "type_mapping.json")
    assert list(types) == list(CHANGE_TYPES)
    assert sorted(itertools.chain.from_iterable(types.values())) == [
        f"{index:06d}.png" for index in range(SCENES)
    ]
    boxes = read(world, "change_captions_with_bbox.json")
    assert list(boxes) == [str(index) for index in range(SCENES)]
    for type, listed in types.items():
        for name in listed:
            both = boxes[str(int(name[:6]))]
            assert (both["bbox_before"] is None) == (type == "add")
            assert (both["bbox_after"] is None) == (type == "drop")
            assert all(isinstance(value, int) for box in both.values() if box for value in box)
    assert not (world / JOURNAL).exists()


def test_every_split_has_the_types_in_equal_shares(world: Path) -> None:
    types = read(world, "type_mapping.json")
    type_of = {int(name[:6]): type for type, listed in types.items() for name in listed}
    for split in ("train", "test"):
        assert sorted(type_of[index] for index in read(world, "splits.json")[split]) == sorted(CHANGE_TYPES)


def test_records_hold_the_scene_and_every_object_is_seen(world: Path) -> None:
    lines = (world / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["index"] for record in records] == list(range(SCENES))
    errors = []
    for record in records:
        assert (record["seed"], record["size"]) == (4, [64, 48])
        triple = triple_from_dict(record)
        assert triple == sample_triple(4, record["index"], visible=visible)
        for kind in FOLDERS:
            objects = record["semantic" if kind == "semantic" else "default"]["objects"]
            assert len(record["boxes"][kind]) == len(objects)
            with Image.open(world / "masks" / picture_name(kind, record["index"])) as image:
                mask = np.asarray(image)
            assert mask.shape == (48, 64)
            for index, (x, y, width, height) in enumerate(record["boxes"][kind]):
                ys, xs = np.nonzero(mask == index + 1)
                assert len(xs) >= 0.0015 * mask.size  # the threshold is 0.0025, measured on other pixels
                edges = (x, y, x + width, y + height)
                seen = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
                errors.append(np.abs(np.subtract(edges, seen)).max())
    assert np.percentile(errors, 95) <= 2
    assert max(errors) <= 5  # slivers of hidden objects: the two buffers see other points of a pixel


def test_pictures_of_a_pair_differ_where_the_change_is(world: Path) -> None:
    """The framed pixels of a colour change differ more than the rest: boxes, pictures and ids agree."""
    name = read(world, "type_mapping.json")["color"][0]
    x, y, width, height = read(world, "change_captions_with_bbox.json")[str(int(name[:6]))]["bbox_before"]
    pair = []
    for kind in ("default", "semantic"):
        with Image.open(world / FOLDERS[kind] / picture_name(kind, int(name[:6]))) as image:
            pair.append(np.asarray(image).astype(float))
    change = np.abs(pair[0] - pair[1]).max(axis=2)
    assert change[y : y + height, x : x + width].mean() > 2 * change.mean()


def test_two_workers_write_the_same_files(world: Path, tmp_path: Path) -> None:
    render_world(tmp_path / "two", SCENES, SIZES, SETTINGS, workers=2)
    assert files(tmp_path / "two") == files(world)


def test_fewer_scenes_first_and_more_later_are_the_same_files(world: Path, tmp_path: Path) -> None:
    render_world(tmp_path / "grown", 5, [3, 1, 1], SETTINGS, workers=1)
    render_world(tmp_path / "grown", SCENES, SIZES, SETTINGS, workers=1)
    assert files(tmp_path / "grown") == files(world)


def test_killed_and_resumed_is_as_if_never_interrupted(world: Path, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    command = [sys.executable, *COMMAND, "--out", str(root), "--workers", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    journal = root / JOURNAL
    begun = time.monotonic()
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 3:
        assert time.monotonic() - begun < 120
        assert process.poll() is None
        time.sleep(0.01)
    children = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = time.monotonic()
    while any(alive(child) for child in children):
        assert time.monotonic() - begun < 30, "workers outlive the command"
        time.sleep(0.05)

    done = [json.loads(line)["index"] for line in journal.read_bytes().splitlines() if line.endswith(b"}")]
    assert len(done) < SCENES
    with journal.open("ab") as lines:
        lines.write(b'{"index": 1, "default": {"obj')
    (root / FOLDERS["semantic"] / picture_name("semantic", done[0])).unlink()
    for name in ("images/.CLEVR_default_000000.png.0a1b.png", ".splits.json.2c3d.json"):
        (root / name).write_bytes(b"cut off")

    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert files(root) == files(world)


def children_of(pid: int) -> list[int]:
    """Direct children of a process, from ps."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    listing = subprocess.run(
        ["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 5), ("size", (48, 64)), ("samples", 3), ("denoised", False), ("masks", False)],
)
def test_other_settings_are_refused_by_name(copy: Path, name: str, value: object) -> None:
    before = files(copy)
    other = Settings(**{**vars(SETTINGS), name: value})
    with pytest.raises(UserError, match=f"rendered with {name} = "):
        render_world(copy, SCENES, SIZES, other)
    assert files(copy) == before


def test_other_versions_and_another_look_are_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(layout, "LOOK", 99)
        with pytest.raises(UserError, match="rendered with look = "):
            render_world(copy, SCENES, SIZES, SETTINGS)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1")
    with pytest.raises(UserError, match=r"rendered with mitsuba version = .*, now it is 0\.0\.1"):
        render_world(copy, SCENES, SIZES, SETTINGS)


def test_a_folder_that_is_no_world_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="not rendered by this kit"):
        render_world(tmp_path, SCENES, SIZES, SETTINGS)
    (tmp_path / "world.json").write_text('{"settings": {"se')
    with pytest.raises(UserError, match=r"world\.json is damaged"):
        render_world(tmp_path, SCENES, SIZES, SETTINGS)


def test_a_full_disk_is_explained_and_nothing_is_lost(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))
    real = os.fsync

    def full(descriptor: int) -> None:
        if next(calls) >= 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    root = tmp_path / "full"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left on the disk"):
            render_world(root, SCENES, SIZES, SETTINGS, workers=1)
    assert (root / JOURNAL).read_bytes().count(b"\n") == 4  # six files each, after world.json
    render_world(root, SCENES, SIZES, SETTINGS, workers=1)
    assert files(root) == files(world)


def test_a_full_disk_under_the_journal_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match="Finished scenes are kept"):
        layout.append(tmp_path / JOURNAL, {"index": 0})


def test_a_lost_worker_is_explained() -> None:
    with (
        pytest.raises(UserError, match="a worker process was ended from outside"),
        executor(1, None) as (pool, _),
    ):
        pool.submit(os._exit, 1).result()


@pytest.mark.parametrize("threads", [1, 2])
def test_dask_workers_write_the_same_files(world: Path, tmp_path: Path, threads: int) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=threads, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:
        render_world(tmp_path / "dask", SCENES, SIZES, SETTINGS, dask=cluster.scheduler_address)
    assert files(tmp_path / "dask") == files(world)


def test_no_dask_scheduler_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(UserError, match="no Dask scheduler answers at tcp://127"):
        render_world(tmp_path, SCENES, SIZES, SETTINGS, dask="tcp://127.0.0.1:9")


def test_workers_with_other_versions_are_refused() -> None:
    with pytest.raises(UserError, match="Install the same versions everywhere"):
        layout.render_scene(SETTINGS, {"mitsuba": "0.0.1"}, 0)


def test_without_the_denoiser_a_world_is_raw_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(renderer, "denoiser_available", lambda: False)
    arguments = ["--out", str(tmp_path / "raw"), "--scenes", "1", "--size", "32x24", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["render_world.py", *arguments, "--splits", "0,0,1"])
    runpy.run_path(str(SCRIPTS / "render_world.py"), run_name="__main__")
    assert "mitsuba-oidn is not installed: rendering raw, with 64 samples" in capsys.readouterr().out
    made = read(tmp_path / "raw", "world.json")
    assert (made["settings"]["denoised"], made["settings"]["samples"]) == (False, 64)
    assert "mitsuba-oidn" not in made["versions"]


def test_a_denoised_world_needs_the_denoiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "mitsuba-oidn":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(UserError, match="pip install mitsuba-oidn"):
        render_world(tmp_path, SCENES, SIZES, SETTINGS)


@pytest.mark.parametrize(
    ("text", "count", "sizes"),
    [
        (None, 50, [40, 5, 5]),
        ("0.8,0.1,0.1", 50, [40, 5, 5]),
        ("0.7,0.2,0.1", 11, [8, 2, 1]),
        ("1500,200,300", 2000, [1500, 200, 300]),
        ("0,0,1", 1, [0, 0, 1]),
    ],
)
def test_splits_are_counts_or_shares(text: str | None, count: int, sizes: list[int]) -> None:
    assert split_sizes(text, count) == sizes


@pytest.mark.parametrize(
    "text", ["1,2", "a,b,c", "0.5,0.2,0.1", "10,10,10", "-1,6,5", "2.5,2.5,5", "nan,0,1"]
)
def test_other_splits_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="must be three numbers"):
        split_sizes(text, 10)


def test_splits_depend_on_the_seed_alone_and_are_balanced() -> None:
    first, second = split_ids(100, [70, 10, 20], 1), split_ids(100, [70, 10, 20], 1)
    assert first == second
    assert first != split_ids(100, [70, 10, 20], 2)
    assert [len(ids) for ids in first.values()] == [70, 10, 20]
    assert sorted(itertools.chain.from_iterable(first.values())) == list(range(100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenes", "0"], "at least 1"),
        (["--scenes", "2", "--workers", "0"], "at least 1"),
        (["--scenes", "2", "--samples", "0"], "at least 1"),
        (["--scenes", "2", "--size", "160"], "like 160x120"),
        (["--scenes", "2", "--size", "4x3"], "like 160x120"),
        (["--scenes", "2", "--splits", "1,2,3"], "add up to 2 scenes"),
    ],
)
def test_wrong_arguments_are_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["render_world.py", "--out", str(tmp_path / "none"), *arguments])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(SCRIPTS / "render_world.py"), run_name="__main__")
    assert exit.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def contact_sheet(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", *arguments])
    runpy.run_path(str(SCRIPTS / "contact_sheet.py"), run_name="__main__")


def test_contact_sheet_shows_as_many_rows_as_asked(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heights = []
    for count in ("2", "4", "99"):
        contact_sheet(monkeypatch, str(world), "--out", str(tmp_path / "sheet.png"), "--n", count)
        with Image.open(tmp_path / "sheet.png") as image:
            assert image.width > 3 * 300
            heights.append(image.height)
    assert heights[1] > 1.8 * heights[0]
    assert heights[2] > 4 * heights[0]


def test_contact_sheet_frames_the_changed_object(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = int(read(world, "type_mapping.json")["add"][0][:6])
    contact_sheet(monkeypatch, str(world), "--out", str(tmp_path / "sheet.png"), "--ids", str(added))
    with Image.open(tmp_path / "sheet.png") as image:
        framed = (np.asarray(image) == (255, 150, 0)).all(axis=2)
    third = image.width // 3
    assert not framed[:, :third].any()
    assert framed[:, third : 2 * third].any()
    assert not framed[:, 2 * third :].any()


def test_contact_sheet_explains_what_is_missing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "images" / picture_name("default", 0)).write_bytes(b"no picture")
    for root, ids, message in (
        (copy, "12", "has no scene 12"),
        (copy, "0", "cannot be read"),
        (tmp_path / "nowhere", "0", "render a world first"),
    ):
        with pytest.raises(SystemExit):
            contact_sheet(monkeypatch, str(root), "--out", str(tmp_path / "sheet.png"), "--ids", ids)
        assert message in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
