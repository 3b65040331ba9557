"""Stores of grids: what is written is what is read, and what is broken says so."""

from __future__ import annotations

import errno
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from idc.data.grids import FlatGrids, GridWriter, NpyGrids, extraction, open_grids, stacked
from idc.data.layout import FEATURE_FOLDERS, kind_of, picture
from idc.errors import UserError

SHAPE = (3, 4, 5)
NAMES = [
    picture(kind, scene) for scene in (0, 2, 7, 40000) for kind in ("default", "semantic", "nonsemantic")
]
ROWS = np.random.default_rng(0).normal(size=(len(NAMES), *SHAPE)).astype(np.float32)
ABOUT = {"backbone": "tiny", "weights": "abc"}


def write_flat(path: Path) -> Path:
    with GridWriter(path, NAMES, SHAPE, ABOUT) as writer:
        writer.append(ROWS)
        writer.finish()
    return path


def write_npy(path: Path) -> Path:
    for name, row in zip(NAMES, ROWS, strict=True):
        file = path / FEATURE_FOLDERS[kind_of(name)] / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, row)
    return path


def test_flat_round_trip(tmp_path: Path) -> None:
    write_flat(tmp_path / "train")
    grids = open_grids(tmp_path, "train")
    assert isinstance(grids, FlatGrids) and grids.shape == SHAPE and grids.backbone == "tiny"
    for name, row in reversed(list(zip(NAMES, ROWS, strict=True))):
        assert grids[name].dtype == np.float16
        np.testing.assert_array_equal(grids[name], row.astype(np.float16))
    assert NAMES[0] in grids and picture("default", 1) not in grids
    assert sorted(p.name for p in (tmp_path / "train").iterdir()) == ["grids.fp16", "index.json"]
    index = json.loads((tmp_path / "train" / "index.json").read_text(encoding="utf-8"))
    assert index == {"shape": [3, 4, 5], "dtype": "float16", **ABOUT, "names": NAMES}


def test_a_store_may_be_larger_than_memory(tmp_path: Path) -> None:
    """A terabyte that is one hole: mapped without asking for memory, and nobody can write to it by mistake."""
    index = {"shape": [1, 2**19, 2**20], "dtype": "float16", **ABOUT, "names": NAMES[:1]}
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    with (tmp_path / "grids.fp16").open("wb") as file:
        file.truncate(2**40)
    grid = FlatGrids(tmp_path)[NAMES[0]]
    assert grid.shape == (1, 2**19, 2**20) and grid[0, -1, -1] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid[0, 0, 0] = 1


def test_published_layout(tmp_path: Path) -> None:
    grids = open_grids(write_npy(tmp_path), "val")
    assert isinstance(grids, NpyGrids) and grids.shape == SHAPE and grids.backbone is None
    for name, row in zip(NAMES, ROWS, strict=True):
        np.testing.assert_array_equal(grids[name], row)
    assert NAMES[-1] in grids and picture("default", 1) not in grids


@pytest.mark.parametrize("write", [write_flat, write_npy])
def test_travels_to_another_process(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "train")
    grids = FlatGrids(tmp_path / "train") if write is write_flat else NpyGrids(tmp_path / "train")
    sent = pickle.dumps(grids)
    assert len(sent) < 500, "a path travels, not the features"
    copy = pickle.loads(sent)  # noqa: S301
    np.testing.assert_array_equal(copy[NAMES[3]], grids[NAMES[3]])
    assert copy.shape == SHAPE and NAMES[3] in copy


def test_written_in_any_portions(tmp_path: Path) -> None:
    expected = (write_flat(tmp_path / "whole") / "grids.fp16").read_bytes()
    for size in (1, 5, 11):
        path = tmp_path / f"by_{size}"
        for start in range(0, len(ROWS), size):
            with GridWriter(path, NAMES, SHAPE, ABOUT) as writer:  # a new one each time, as after a kill
                assert writer.done == start
                writer.append(ROWS[start : start + size])
        with GridWriter(path, NAMES, SHAPE, ABOUT) as writer:
            writer.finish()
        assert (path / "grids.fp16").read_bytes() == expected


def test_a_row_cut_off_is_written_again(tmp_path: Path) -> None:
    with GridWriter(tmp_path / "train", NAMES, SHAPE, ABOUT) as writer:
        writer.append(ROWS[:5])
    partial = tmp_path / "train" / "grids.partial"
    partial.write_bytes(partial.read_bytes()[:-7])
    with pytest.raises(UserError, match="not finished"):
        open_grids(tmp_path, "train")
    with GridWriter(tmp_path / "train", NAMES, SHAPE, ABOUT) as writer:
        assert writer.done == 4
        writer.append(ROWS[4:])
        writer.finish()
    np.testing.assert_array_equal(FlatGrids(tmp_path / "train")[NAMES[4]], ROWS[4].astype(np.float16))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Kill -9 after 0, 1, 2 … operations on the disk; the next run always ends with the same store."""
    program = """
import os, signal, sys
from pathlib import Path
import numpy as np
from idc.data import grids as g
from idc.data.layout import picture
left = int(sys.argv[2])
def tick(event, arguments):
    global left
    if event in ("open", "os.rename", "os.truncate", "os.remove") and sys.argv[1] in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
names = [picture("default", i) for i in range(4)]
sys.addaudithook(tick)
with g.GridWriter(Path(sys.argv[1]), names, (1, 2, 2), {"backbone": "b", "weights": "w"}) as writer:
    while writer.done < 4:
        writer.append(np.full((1, 1, 2, 2), writer.done, np.float32))
    writer.finish()
"""
    deaths = 0
    for moment in range(1, 12):
        path = tmp_path / f"store{moment}"
        first = subprocess.run([sys.executable, "-c", program, str(path), str(moment)], check=False)
        deaths += first.returncode == -9
        if (path / "index.json").is_file():
            break
        again = subprocess.run([sys.executable, "-c", program, str(path), "0"], check=False)
        assert again.returncode == 0
        store = FlatGrids(path)
        assert [float(store[picture("default", i)].max()) for i in range(4)] == [0, 1, 2, 3]
    assert deaths >= 4


def test_a_kill_between_the_two_renamings(tmp_path: Path) -> None:
    path = write_flat(tmp_path / "train")
    (path / "index.json").rename(path / "plan.json")
    with GridWriter(path, NAMES, SHAPE, ABOUT) as writer:
        assert writer.done == len(NAMES)
        writer.finish()
    np.testing.assert_array_equal(FlatGrids(path)[NAMES[4]], ROWS[4].astype(np.float16))


def test_rows_without_a_plan_are_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "grids.partial").write_bytes(b"\0" * 10_000)
    with GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as writer:
        assert writer.done == 0


def test_two_writers_notice_each_other(tmp_path: Path) -> None:
    with (
        GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as first,
        GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as second,
    ):
        first.append(ROWS[:2])
        with pytest.raises(UserError, match="another process writes"):
            second.append(ROWS[:2])


def test_a_full_disk_keeps_what_is_done(tmp_path: Path) -> None:
    with GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as writer:
        writer.append(ROWS[:3])
        real = writer.file

        class Full:
            def write(self, data: memoryview) -> int:
                if len(data) <= 200:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real.write(data[:200])

            def fileno(self) -> int:
                return real.fileno()

        writer.file = Full()  # type: ignore[assignment]
        with pytest.raises(UserError, match=r"no space left.*3 of 12 pictures are done.*continues there"):
            writer.append(ROWS[3:])
        writer.file = real
    with GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as writer:
        assert writer.done == 11, "what fits is kept, the row that does not fit whole is dropped"
        writer.append(ROWS[11:])
        writer.finish()
    np.testing.assert_array_equal(FlatGrids(tmp_path)[NAMES[11]], ROWS[11].astype(np.float16))


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with GridWriter(tmp_path, NAMES, SHAPE, ABOUT) as writer:
        with pytest.raises(UserError, match=r"shape \(3, 4, 4\), the store .* holds \(3, 4, 5\)"):
            writer.append(ROWS[:2, :, :, :4])
        with pytest.raises(UserError, match="not finite in half precision"):
            writer.append(ROWS[:2] + 70_000)
        with pytest.raises(ValueError, match="0 of 12 rows"):
            writer.finish()
    for names, shape, about in (
        (NAMES[1:], SHAPE, ABOUT),
        (NAMES, (3, 4, 6), ABOUT),
        (NAMES, SHAPE, ABOUT | {"weights": "x"}),
        (NAMES, SHAPE, ABOUT | {"precision": "bf16"}),
    ):
        with pytest.raises(
            UserError, match="begun with another backbone, other weights, another precision or"
        ):
            GridWriter(tmp_path, names, shape, about)


def damage_flat(path: Path, how: str) -> None:
    index = path / "index.json"
    if how == "grids":
        (path / "grids.fp16").write_bytes((path / "grids.fp16").read_bytes()[:-2])
    elif how == "no grids":
        (path / "grids.fp16").unlink()
    elif how == "index":
        index.write_text(index.read_text(encoding="utf-8")[:50], encoding="utf-8")
    elif how == "shape":
        index.write_text(index.read_text(encoding="utf-8").replace("[3, 4, 5]", "[3, 4]"), encoding="utf-8")
    else:
        index.write_text("[]", encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("grids", "has 1438 bytes instead of 1440; it is not whole"),
        ("no grids", "has 0 bytes instead of 1440"),
        ("index", "is not valid JSON"),
        ("shape", "does not describe a store"),
        ("list", "does not describe a store"),
    ],
)
def test_damaged_flat_stores(tmp_path: Path, how: str, message: str) -> None:
    damage_flat(write_flat(tmp_path / "train"), how)
    with pytest.raises(UserError, match=message + r"[\s\S]*extract_features\.py"):
        open_grids(tmp_path, "train")


def test_damaged_npy_files(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "features_resnet101")
    grids = open_grids(folder, "val")
    file = folder / "features" / f"{NAMES[3]}.npy"
    whole = file.read_bytes()
    for length in (0, 5, 60, 130, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"cannot be read .* may be truncated"):
            grids[NAMES[3]]
    np.save(file, ROWS[0][:2])
    with pytest.raises(UserError, match=r"has shape \(2, 4, 5\) .*not \(3, 4, 5\)"):
        grids[NAMES[3]]
    np.save(file, np.zeros(SHAPE, np.int64))
    with pytest.raises(UserError, match="type int64"):
        grids[NAMES[3]]
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        grids[NAMES[3]]
    file.unlink()
    with pytest.raises(UserError, match=r"are missing; .*--backbone resnet101 --store npy` makes them anew"):
        grids[NAMES[3]]


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("data/a/features_pixels224", None, "--root data/a --backbone pixels224`"),
        ("data/a/features_rendered/train", "data/a", "--root data/a --backbone rendered`"),
        (
            "kept/features_pixels96/val",
            "data/a",
            "--root data/a --backbone pixels96 --out kept/features_pixels96`",
        ),
        (
            "data/a/features_tiny",
            None,
            "--root ROOT --backbone X` (X is one of rendered, resnet101, pixels96, ",
        ),
        ("kept/train", "data/a", "--root data/a --backbone X` (X is one of rendered, resnet101, pixels96, "),
    ],
)
def test_the_command_that_makes_features(path: str, root: str | None, expected: str) -> None:
    command = extraction(Path(path), None if root is None else Path(root))
    assert command.startswith(f"`python data_scripts/extract_features.py {expected}")
    npy = extraction(Path("data/a/features_resnet101"), store="npy")
    assert npy.endswith("--root data/a --backbone resnet101 --store npy`")


def test_nothing_there(tmp_path: Path) -> None:
    said = r"missing or not finished; run .*extract_features\.py --root .* --backbone rendered`; it continues"
    with pytest.raises(UserError, match=said):
        open_grids(tmp_path / "features_rendered", "train")
    with pytest.raises(UserError, match="holds neither a flat store"):
        open_grids(tmp_path, "train")
    write_flat(tmp_path / "train")
    with pytest.raises(UserError, match=r"lack CLEVR_default_000001\.png"):
        open_grids(tmp_path, "train")[picture("default", 1)]


def test_a_system_can_insist_on_a_shape(tmp_path: Path) -> None:
    grids = FlatGrids(write_flat(tmp_path / "train"))
    grids.expect(SHAPE, "the snapshot")
    with pytest.raises(
        UserError, match=r"the snapshot works on grids of shape \(1024, 14, 14\).*backbone tiny"
    ):
        grids.expect((1024, 14, 14), "the snapshot")


@pytest.mark.parametrize("name", ["a.png", "CLEVR_default_1.jpg", "CLEVR_other_000001.png", ""])
def test_names_of_another_form(tmp_path: Path, name: str) -> None:
    grids = open_grids(write_npy(tmp_path), "val")
    assert name not in grids
    with pytest.raises(UserError, match="is not named like a picture"):
        grids[name]


@pytest.mark.parametrize("write", [write_flat, write_npy])
def test_stacked_in_single_precision(tmp_path: Path, write: Any) -> None:
    """What either store gives becomes one float32 tensor, a copy in the order asked for."""
    write(tmp_path / "train")
    grids = FlatGrids(tmp_path / "train") if write is write_flat else NpyGrids(tmp_path / "train")
    order = [7, 0, 7, 11]
    batch = stacked([grids[NAMES[row]] for row in order])
    assert batch.dtype == torch.float32 and batch.shape == (4, *SHAPE)
    expected = ROWS.astype(np.float16).astype(np.float32) if write is write_flat else ROWS
    np.testing.assert_array_equal(batch.numpy(), expected[order])
    batch.zero_()
    np.testing.assert_array_equal(grids[NAMES[7]], expected[7])
