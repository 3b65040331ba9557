"""Stores of grids: one (C, H, W) feature map per picture, found by the picture's file name.

Two layouts: the published one, a folder of `.npy` files named after the pictures (in `features/`,
`sc_features/`, `nsc_features/`), and a flat one, a single fp16 file that is mapped into memory with a JSON
index beside it.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idc.errors import UserError
from idc.files import atomic_write

PUBLISHED = {"default": "features", "semantic": "sc_features", "nonsemantic": "nsc_features"}


class Grids(ABC):
    """Random access to grids by picture name; `shape` is (C, H, W)."""

    shape: tuple[int, int, int]
    path: Path

    @abstractmethod
    def __getitem__(self, name: str) -> NDArray[np.floating]: ...

    @abstractmethod
    def __contains__(self, name: object) -> bool: ...


class NpyGrids(Grids):
    """The published layout. Raises UserError for a missing, truncated or differently shaped file."""

    def __init__(self, path: Path):
        self.path = path
        first = next((file for folder in PUBLISHED.values() for file in (path / folder).glob("*.npy")), None)
        if first is None:
            raise UserError(
                f"{path} holds neither a flat store (index.json) nor {', '.join(PUBLISHED.values())} with .npy files; "
                "`python data_scripts/extract_features.py` makes them."
            )
        self.shape = self.read(first).shape

    def file(self, name: str) -> Path:
        kind = name.split("_")[1]
        return self.path / PUBLISHED[kind] / f"{name}.npy"

    def read(self, file: Path) -> NDArray[np.floating]:
        try:
            grid = np.load(file, allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(
                f"the features {file} are missing; run extract_features.py again, it resumes."
            ) from error
        except (ValueError, EOFError, OSError) as error:
            raise UserError(
                f"the features {file} cannot be read ({error}); the file may be truncated. "
                "Delete it and run extract_features.py again."
            ) from error
        if grid.ndim != 3 or grid.shape != getattr(self, "shape", grid.shape):
            raise UserError(f"{file} has shape {grid.shape}, expected {getattr(self, 'shape', '(C, H, W)')}.")
        return grid

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        return self.read(self.file(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.file(name).is_file()


class FlatGrids(Grids):
    """One fp16 file, mapped into memory."""

    def __init__(self, path: Path):
        self.path = path
        index = json.loads((path / "index.json").read_text(encoding="utf-8"))
        self.shape = (index["shape"][0], index["shape"][1], index["shape"][2])
        self.rows = {name: row for row, name in enumerate(index["names"])}
        file = path / "grids.fp16"
        expected = 2 * len(self.rows) * int(np.prod(self.shape))
        size = file.stat().st_size if file.is_file() else 0
        if size != expected:
            raise UserError(
                f"{file} has {size} bytes instead of {expected}; it is not whole. Delete {path} and run "
                "extract_features.py again."
            )
        self.grids = np.memmap(file, np.float16, "r", shape=(len(self.rows), *self.shape))

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        try:
            return self.grids[self.rows[name]]
        except KeyError as error:
            raise UserError(
                f"{self.path} has no features of {name}; run extract_features.py again."
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)  # type: ignore[misc]


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
            f"`python data_scripts/extract_features.py --root {path.parent}`, it continues where it stopped."
        )
    return NpyGrids(path)


class GridWriter:
    """Writes a flat store row by row; `done` rows are already there when work is taken up again.

    The rows go to `grids.partial` in the order of `names`; only `finish` makes the store visible.
    Raises UserError when a partial store was begun with another backbone, shape or list of pictures.
    """

    def __init__(
        self, path: Path, names: Iterable[str], shape: tuple[int, int, int], description: dict[str, str]
    ):
        self.path, self.names, self.shape = path, list(names), shape
        self.index = {"shape": list(shape), "dtype": "float16", **description, "names": self.names}
        path.mkdir(parents=True, exist_ok=True)
        plan = path / "plan.json"
        if plan.is_file() and json.loads(plan.read_text(encoding="utf-8")) != self.index:
            raise UserError(
                f"{path} was begun with another backbone, other weights or other pictures. Delete that folder to begin anew."
            )
        with atomic_write(plan) as temporary:
            temporary.write_text(json.dumps(self.index), encoding="utf-8")
        self.row_bytes = 2 * int(np.prod(shape))
        self.file = (path / "grids.partial").open("ab")
        self.done = os.fstat(self.file.fileno()).st_size // self.row_bytes
        self.file.truncate(self.done * self.row_bytes)

    def append(self, grids: NDArray[np.floating]) -> None:
        """The next rows, (R, C, H, W)."""
        if grids.shape[1:] != self.shape:
            raise UserError(f"a grid has shape {grids.shape[1:]}, the store holds {self.shape}.")
        self.file.write(np.ascontiguousarray(grids, dtype=np.float16).tobytes())
        self.file.flush()
        self.done += len(grids)

    def finish(self) -> None:
        self.file.close()
        (self.path / "grids.partial").replace(self.path / "grids.fp16")
        (self.path / "plan.json").replace(self.path / "index.json")
