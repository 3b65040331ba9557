"""Writing files so that a half-written one never looks whole."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from idc.errors import UserError


def disk_is_full(error: OSError) -> bool:
    """Whether the system refused to write for want of space or quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed over `path` if the block ends well, else removed.

    Raises UserError when the disk is full, naming the file; what stood at `path` before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as written:  # Windows syncs only what is open for writing
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"no space left on the disk while writing {path}; nothing there was changed. "
                "Free some space, or choose another folder, and run the same command again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(file: Path, busy: str) -> Iterator[None]:
    """Nobody else holds this file meanwhile. The lock ends with the process that holds it, however that ends.

    Raises UserError with the words `busy` where somebody else holds it. The file itself stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(busy) from error
    try:
        yield
    finally:
        lock.release()


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name to one compressed .npz file, whole or not at all."""
    named: dict[str, Any] = dict(arrays)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **named)


def fill_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """`text` with every table between its marks written anew. Raises UserError where the marks are missing."""
    for name, table in tables.items():
        start, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise UserError(f"there is no place for the table “{name}”: {start.strip()} … {end}")
        text = f"{before}{start}{table()}\n{end}{after}"
    return text
