"""Stores of grids: one (C, H, W) feature map per picture, found by the picture's file name.

Two layouts: the published one, a folder of `.npy` files named after the pictures (in `features/`,
`sc_features/`, `nsc_features/`), and a flat one, a folder per split with a single fp16 file that is mapped
into memory and a JSON index beside it (shape, names in row order, backbone, hash of its weights).
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from idc.backbones import BACKBONES
from idc.data.layout import FEATURE_FOLDERS, KINDS, kind_of
from idc.errors import UserError
from idc.files import atomic_write, disk_is_full


def extraction(path: Path, root: Path | None = None, store: str = "flat") -> str:
    """The command that makes the features at `path`: a folder features_X, X being the backbone, or a split's in it.

    root: the data set's folder, None for the one above features_X. Where there is no such backbone, it says which
    there are.
    """
    folder = path if path.name.startswith("features_") else path.parent
    backbone = folder.name.removeprefix("features_")
    command = "`python data_scripts/extract_features.py --root"
    if folder.name not in (f"features_{known}" for known in BACKBONES):
        choices = f"X is one of {', '.join(BACKBONES)}; with --out where data.grids names a folder"
        return f"{command} {root or 'ROOT'} --backbone X` ({choices})"
    root = root or folder.parent
    out = "" if root == folder.parent else f" --out {folder}"
    return f"{command} {root} --backbone {backbone}{out}{' --store npy' if store == 'npy' else ''}`"


def anew(path: Path, store: str = "flat") -> str:
    """How an error message about features that cannot be used ends."""
    return f"{extraction(path, store=store)} makes them anew"


class Grids(ABC):
    """Random access to grids by picture name; `shape` is (C, H, W). Can be sent to worker processes.

    backbone: the name of the backbone that made the grids, None where the store does not say.
    """

    shape: tuple[int, int, int]
    path: Path
    backbone: str | None = None

    @abstractmethod
    def __getitem__(self, name: str) -> NDArray[np.floating]:
        """The grid of a picture, as stored (fp16 or fp32). Raises UserError when it cannot be had."""

    @abstractmethod
    def __contains__(self, name: object) -> bool: ...

    def expect(self, shape: tuple[int, int, int], who: str) -> None:
        """Raise UserError unless the grids have this shape. who: what wants it, e.g. "the snapshot runs/a"."""
        if tuple(shape) != self.shape:
            raise UserError(
                f"{who} works on grids of shape {tuple(shape)}, those in {self.path} have {self.shape}"
                + (f" (backbone {self.backbone})" if self.backbone else "")
                + ". Give the features of the right backbone (data.backbone, data.grids)."
            )


class NpyGrids(Grids):
    """The published layout: float32 `.npy` files, one per picture."""

    def __init__(self, path: Path):
        self.path = path
        files = (
            file for kind in KINDS for file in (path / FEATURE_FOLDERS[kind]).glob(f"CLEVR_{kind}_*.png.npy")
        )
        first = next(files, None)
        if first is None:
            raise UserError(
                f"{path} holds neither a flat store of this split nor {', '.join(FEATURE_FOLDERS.values())} with "
                f"files like CLEVR_default_000000.png.npy; {anew(path)}."
            )
        about = path / "backbone.json"
        if about.is_file():
            self.backbone = read_index(about).get("backbone")
        self.shape = self.read(first).shape

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "files"}

    @cached_property
    def files(self) -> frozenset[str]:
        """The names of all files, listed once: asking the disk for each of 100,000 pictures takes too long."""
        folders = (self.path / folder for folder in FEATURE_FOLDERS.values())
        return frozenset(name for folder in folders if folder.is_dir() for name in os.listdir(folder))  # noqa: PTH208 - names alone, no Path objects

    def read(self, file: Path) -> NDArray[np.floating]:
        try:
            grid = np.load(file, allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(
                f"the features {file} are missing; {anew(self.path, 'npy')}, skipping those it finds."
            ) from error
        except (ValueError, EOFError, OSError, SyntaxError) as error:
            raise UserError(
                f"the features {file} cannot be read ({error}); the file may be truncated. Delete it; "
                f"{anew(self.path, 'npy')}, skipping those it finds."
            ) from error
        expected = getattr(self, "shape", None)
        if grid.ndim != 3 or grid.dtype.kind != "f" or grid.shape != (expected or grid.shape):
            raise UserError(
                f"{file} has shape {grid.shape} and type {grid.dtype}, not {expected or '(C, H, W)'} and float32. "
                f"Delete it; {anew(self.path, 'npy')}, or download it again."
            )
        return grid

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        return self.read(self.path / FEATURE_FOLDERS[kind_of(name)] / f"{name}.npy")

    def __contains__(self, name: object) -> bool:
        return f"{name}.npy" in self.files


def read_index(file: Path) -> dict[str, Any]:
    """A store's description. Raises UserError when it is broken."""
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is not valid JSON ({error}). Delete the folder {file.parent}; {anew(file.parent)}."
        ) from error
    if not isinstance(index, dict):
        raise UserError(
            f"{file} does not describe a store of features. Delete the folder {file.parent}; {anew(file.parent)}."
        )
    return index


class FlatGrids(Grids):
    """One fp16 file of a split, mapped into memory: a grid is read when it is asked for."""

    def __init__(self, path: Path):
        self.path = path
        index = read_index(path / "index.json")
        try:
            channels, height, width = map(int, index["shape"])
            names = index["names"]
            self.backbone = index.get("backbone")
            self.rows = {name: row for row, name in enumerate(names)}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path / 'index.json'} does not describe a store of features ({error!r}). Delete {path}; {anew(path)}."
            ) from error
        self.shape = (channels, height, width)
        file = path / "grids.fp16"
        expected = 2 * len(names) * channels * height * width
        size = file.stat().st_size if file.is_file() else 0
        if size != expected or not size:
            raise UserError(
                f"{file} has {size} bytes instead of {expected}; it is not whole. Delete {path}; {anew(path)}."
            )
        self.grids = np.memmap(file, np.float16, "r", shape=(len(names), *self.shape))

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        try:
            return self.grids[self.rows[name]]
        except KeyError as error:
            raise UserError(
                f"the features in {self.path} lack {name}. Was the split changed since? Delete {self.path}; "
                f"{anew(self.path)}."
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __reduce__(self) -> tuple[type[FlatGrids], tuple[Path]]:
        return FlatGrids, (self.path,)


def stacked(grids: Sequence[NDArray[np.floating]]) -> Float[Tensor, "B C H W"]:
    """Grids, float16 or float32, as one float32 tensor; every grid goes to its place in one step.

    NumPy allocates, because it asks the system for large pages: new memory of this size is several times cheaper
    then. PyTorch converts, because it takes a tenth of NumPy's time for that.
    """
    batch = torch.from_numpy(np.empty((len(grids), *grids[0].shape), np.float32))
    for place, grid in zip(batch, grids, strict=True):
        place.copy_(torch.asarray(grid, copy=not grid.flags.writeable))
    return batch


def open_grids(path: str | Path, split: str) -> Grids:
    """The grids of a split: the flat store `path`/`split` where there is one, else the published layout.

    Raises UserError when there is neither, or a flat store that is not finished.
    """
    path = Path(path)
    if (path / split / "index.json").is_file():
        return FlatGrids(path / split)
    if not path.is_dir() or (path / split / "plan.json").is_file():
        raise UserError(
            f"the features {path / split} are missing or not finished; run "
            f"{extraction(path, path.parent)}; it continues where it stopped."
        )
    return NpyGrids(path)


class GridWriter:
    """Writes a flat store row by row, in a `with` block; `done` rows are already there when work is taken up again.

    The rows go to `grids.partial` in the order of `names`; a row that was cut off by a kill is dropped and
    asked for again, and only `finish` makes the store visible to readers.
    Raises UserError when the store was begun with another backbone, precision, shape or list of pictures, when another
    process writes it too, and when the disk is full.
    """

    def __init__(
        self, path: Path, names: Iterable[str], shape: tuple[int, int, int], description: dict[str, str]
    ):
        self.path, self.names, self.shape = path, list(names), tuple(shape)
        self.index = {"shape": list(shape), "dtype": "float16", **description, "names": self.names}
        path.mkdir(parents=True, exist_ok=True)
        plan, whole, partial = path / "plan.json", path / "grids.fp16", path / "grids.partial"
        if plan.is_file():
            if read_index(plan) != self.index:
                raise UserError(
                    f"{path} was begun with another backbone, other weights, another precision or other pictures. Delete "
                    "that folder to begin anew, or name another one with --out."
                )
            if whole.is_file() and not partial.is_file():  # killed between the two renamings of `finish`
                whole.replace(partial)
        else:
            partial.unlink(missing_ok=True)  # rows nobody knows the order of
            with atomic_write(plan) as temporary:
                temporary.write_text(json.dumps(self.index), encoding="utf-8")
        self.row_bytes = 2 * int(np.prod(shape))
        self.file = partial.open("ab", buffering=0)
        self.done = min(os.fstat(self.file.fileno()).st_size // self.row_bytes, len(self.names))
        self.file.truncate(self.done * self.row_bytes)

    def append(self, grids: NDArray[np.floating]) -> None:
        """The next rows, (R, C, H, W). A row that holds infinities after rounding to fp16 is refused."""
        if grids.shape[1:] != self.shape:
            raise UserError(
                f"a grid has shape {grids.shape[1:]}, the store {self.path} holds {self.shape}. Name another --out."
            )
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(grids, dtype=np.float16)
        if not np.isfinite(rows).all():
            raise UserError(
                f"the features of one of {', '.join(self.names[self.done : self.done + len(rows)][:4])} … are not finite in "
                "half precision. Use other weights, or --store npy, which keeps single precision."
            )
        if os.fstat(self.file.fileno()).st_size != self.done * self.row_bytes:
            raise UserError(
                f"another process writes {self.path} at the same time. Stop both, delete that folder and run one of them."
            )
        data = memoryview(rows.tobytes())
        try:
            while data:
                data = data[self.file.write(data) :]
        except OSError as error:
            if disk_is_full(error):
                raise UserError(
                    f"no space left on the disk while writing {self.path}: {self.done} of {len(self.names)} pictures are "
                    "done and kept. Free some space and run the same command again; it continues there."
                ) from error
            raise
        self.done += len(grids)

    def finish(self) -> None:
        """Make the store visible. Raises ValueError unless every row is there."""
        if self.done != len(self.names):
            raise ValueError(f"{self.done} of {len(self.names)} rows are written")
        os.fsync(self.file.fileno())
        self.file.close()
        (self.path / "grids.partial").replace(self.path / "grids.fp16")
        (self.path / "plan.json").replace(self.path / "index.json")

    def __enter__(self) -> GridWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()  # a later writer continues
