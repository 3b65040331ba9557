"""Archives: what is harmless is unpacked, what is not is refused, what is broken says so."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from idc.data.unpack import unpack
from idc.errors import UserError

FILES = {
    "data/images/a.png": b"picture" * 1000,
    "data/empty.json": b"",
    "data/notes/deep/b.txt": bytes(range(256)) * 50,
}


def make_tar(path: Path, mode: str, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, mode) as tar:
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


ARCHIVES: dict[str, Callable[[Path], Path]] = {
    "zip": make_zip,
    "tar": lambda path: make_tar(path, "w"),
    "tar.gz": lambda path: make_tar(path, "w:gz"),
    "tar.bz2": lambda path: make_tar(path, "w:bz2"),
    "tar.xz": lambda path: make_tar(path, "w:xz"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_unpacks(tmp_path: Path, kind: str) -> None:
    archive = ARCHIVES[kind](tmp_path / "archive")
    assert unpack(archive, tmp_path / "out") == 3
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert found == FILES


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_second_call_writes_nothing_that_is_there(tmp_path: Path, kind: str) -> None:
    archive, out = ARCHIVES[kind](tmp_path / "archive"), tmp_path / "out"
    unpack(archive, out)
    kept, cut = out / "data/images/a.png", out / "data/notes/deep/b.txt"
    before = kept.stat().st_mtime_ns
    cut.write_bytes(b"half")
    unpack(archive, out)
    assert kept.stat().st_mtime_ns == before and cut.read_bytes() == FILES["data/notes/deep/b.txt"]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_cut_off_anywhere(tmp_path: Path, kind: str) -> None:
    whole = ARCHIVES[kind](tmp_path / "archive").read_bytes()
    archive = tmp_path / "broken"
    for part in (0.0, 0.1, 0.3, 0.5, 0.7):
        archive.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(UserError, match=r"(damaged|neither).*Delete it and run"):
            unpack(archive, tmp_path / "out")
    for file in (tmp_path / "out").rglob("*.png"):
        assert file.name.startswith(".") or file.read_bytes() == FILES["data/images/a.png"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_flipped_bits(tmp_path: Path, kind: str) -> None:
    archive = ARCHIVES[kind](tmp_path / "archive")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0x55
    archive.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        unpack(archive, tmp_path / "out")


NAMES = [
    "/etc/evil",
    "../evil",
    "data/../../evil",
    "..\\evil",
    "C:\\evil",
    "C:evil",
    "\\\\host\\evil",
    "a/../../b",
]


@pytest.mark.parametrize("make", [make_zip, lambda path, files: make_tar(path, "w:gz", files)])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out(tmp_path: Path, name: str, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "archive", {"data/good": b"1", name: b"evil"})
    with pytest.raises(UserError, match="leads out of its folder"):
        unpack(archive, tmp_path / "a" / "b")
    files = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert files == ["archive", "good"]


@pytest.mark.parametrize(
    ("type_", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path: Path, type_: bytes, what: str) -> None:
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("data/inside")
        info.type, info.linkname = type_, "images"
        tar.addfile(info)
    with pytest.raises(UserError, match=f"holds {what}.*“?'data/inside'"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("mode", "what"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a special file")])
def test_links_in_a_zip(tmp_path: Path, mode: int, what: str) -> None:
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("data/inside")
        info.external_attr = (mode | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=f"holds {what}"):
        unpack(archive, tmp_path / "out")


def test_a_locked_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "archive", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UserError, match="locked with a password"):
        unpack(archive, tmp_path / "out")


def test_what_is_no_archive(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"<!DOCTYPE html><html><title>Sign in</title></html>" * 40)
    with pytest.raises(UserError, match="neither a zip nor a tar"):
        unpack(page, tmp_path / "out")
    with pytest.raises(UserError, match="holds no files"):
        unpack(make_tar(tmp_path / "empty", "w", {}), tmp_path / "out")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be unpacked into .*Mend that"):
        unpack(make_zip(tmp_path / "archive"), tmp_path / "out")


def test_a_place_outside_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads out of its folder"):
        unpack(make_zip(tmp_path / "archive"), tmp_path / "out", lambda path: ".." / path)
