"""Unpack a downloaded archive (zip, tar, tar.gz, tar.bz2, tar.xz) without trusting it.

Files and folders only: a link, a device, an absolute path or one that climbs out with ".." stops the work
before anything of that member is written. Interrupted, the same call continues: a file that is there in its
full size is not written again, and one that is half written never bears its final name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from idc.errors import UserError
from idc.files import disk_is_full

PACKINGS: dict[bytes, Callable[[IO[bytes]], Any]] = {  # first bytes -> what reads the rest
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)


class Member(NamedTuple):
    """One file of an archive.

    open: gives a binary stream. packed: how far into the archive we are, in bytes, for the progress bar.
    """

    name: str
    size: int
    open: Callable[[], Any]
    packed: int


def safe_path(name: str, archive: Path) -> PurePosixPath:
    """A member's name as a path below the target folder. Raises UserError when it leads out of it."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or ".." in posix.parts or windows.drive or windows.root
    if outside or "\\" in name or "\0" in name:
        raise UserError(
            f"{archive} holds a file whose name leads out of its folder, {name!r}. It was not unpacked. Do not use this "
            "archive; delete it and download it from its publisher again."
        )
    return posix


def refused(name: str, what: str, archive: Path) -> UserError:
    return UserError(
        f"{archive} holds {what}, {name!r}, where only files and folders belong. It was not unpacked. Do not use this "
        "archive; delete it and download it from its publisher again."
    )


def tar_members(archive: Path, out: Path) -> Iterator[Member]:
    """The files of a tar, in their order, each to be read before the next one is asked for."""
    with archive.open("rb") as raw:
        start = raw.read(8)
        raw.seek(0)
        packing = next((read for magic, read in PACKINGS.items() if start.startswith(magic)), None)
        stream = packing(raw) if packing else raw
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for info in tar:
                safe_path(info.name, archive)
                if not (info.isreg() or info.isdir()):
                    link = info.issym() or info.islnk()
                    raise refused(
                        info.name, "a link" if link else "a device or another special file", archive
                    )
                if hasattr(tarfile, "data_filter"):  # Python's own opinion, from 3.10.12 on
                    tarfile.data_filter(info, str(out))
                if info.isreg():
                    yield Member(info.name, info.size, partial(tar.extractfile, info), raw.tell())
        while stream.read(1 << 20):  # to the end, where a packed stream's checksum is
            pass


def zip_members(archive: Path) -> Iterator[Member]:
    """The files of a zip."""
    packed = 0
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            safe_path(info.orig_filename, archive)
            mode = stat.S_IFMT(info.external_attr >> 16)
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise refused(info.filename, "a link" if stat.S_ISLNK(mode) else "a special file", archive)
            if info.flag_bits & 1:
                raise UserError(f"{archive} is locked with a password; unpack it yourself into the folder.")
            packed += info.compress_size
            if not info.is_dir():
                yield Member(info.filename, info.file_size, partial(file.open, info), packed)


def write(member: Member, target: Path) -> None:
    """Copy a member to its place; half-written, it is called `.NAME.part`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with member.open() as source, part.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    if part.stat().st_size != member.size:
        raise EOFError(f"{member.name} ends early")
    part.replace(target)


def unpack(
    archive: Path, out: Path, place: Callable[[PurePosixPath], PurePosixPath | None] = lambda path: path
) -> int:
    """Unpack `archive` into the folder `out`; returns how many files it holds there.

    place: where below `out` a file goes, from its name in the archive; None leaves it out.
    Raises UserError for anything but files and folders, for a name that leads out of `out`, for a damaged
    archive and for a full disk; what was unpacked until then stays, and the same call continues.
    """
    count = 0
    members = zip_members(archive) if zipfile.is_zipfile(archive) else tar_members(archive, out)
    bar = tqdm(total=archive.stat().st_size, desc=f"unpacking {archive.name}", unit="B", unit_scale=True)
    try:
        with bar:
            for member in members:
                path = place(safe_path(member.name, archive))
                if path is not None:
                    target = out / safe_path(str(path), archive)
                    if not (target.is_file() and target.stat().st_size == member.size):
                        write(member, target)
                    count += 1
                bar.update(member.packed - bar.n)
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"no space left on the disk while unpacking {archive} into {out}; {count} files are there. Free some space "
                "and run the same command again; it continues."
            ) from error
        if error.errno is not None:
            raise UserError(
                f"{archive} cannot be unpacked into {out}: {error}. Mend that, or name another --out."
            ) from error
        raise damaged(archive, error) from error
    except (*DAMAGE, NotImplementedError) as error:
        raise damaged(archive, error) from error
    if not count:
        raise UserError(
            f"{archive} holds no files for {out}. Is it the right archive? Delete it and download it again."
        )
    return count


def damaged(archive: Path, error: Exception) -> UserError:
    return UserError(
        f"{archive} is damaged, or neither a zip nor a tar archive ({error or type(error).__name__}). Delete it and run "
        "the same command again to download it anew."
    )
