"""Fetch the published archives: resumed where a connection broke, checked, and unpacked safely.

A download in progress is `NAME.part`, with what identifies the remote file in `NAME.part.json`; a whole one
is `NAME`, with its size and hash in `NAME.sha256.json`. Later runs, and copies from elsewhere, are compared
with that record.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from tqdm import tqdm

from idc.data.layout import FEATURE_FOLDERS, PICTURE_FOLDERS, read_json
from idc.data.listed import PICTURES
from idc.data.unpack import unpack
from idc.errors import UserError
from idc.files import atomic_write, disk_is_full

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 20
PIECE = 1 << 16  # what is lost at most when a connection breaks
TRIES = 6  # connections in a row that bring nothing new before giving up
DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"


@dataclass(frozen=True)
class Archive:
    """A published archive: what to call it and where it is."""

    name: str
    drive_id: str

    @property
    def url(self) -> str:
        return DRIVE.format(self.drive_id)


ARCHIVES = {
    "data": Archive("clevr_change.tar.gz", "1HJ3gWjaUJykEckyb2M0MB4HnrJSihjVe"),
    "features": Archive("clevr_change_features.tar.gz", "1FA9mYGIoQ_DvprP6rtdEve921UXewSGF"),
}


@dataclass(frozen=True)
class Published:
    """A data set of listings and pictures.

    listings: addresses of its JSON files, at a fixed commit of the authors' repository. pictures: the archive of the
    pictures, None where it can only be fetched by hand: then `pages` are where to look.
    """

    listings: tuple[str, ...]
    pictures: Archive | None
    pages: tuple[str, ...] = ()


RAW = "https://raw.githubusercontent.com"
SPOT = f"{RAW}/harsh19/spot-the-diff/d26bdcd4f2d33246355a503c3f8f1def9295dda2/data/annotations"
EDITING = f"{RAW}/airsplay/VisualRelationships/9bee562ddb09e0872fd949bc1e7b1b3eaeb8e504/dataset/adobe"
PUBLISHED = {
    "spot_the_diff": Published(
        tuple(f"{SPOT}/{name}.json" for name in ("train", "val", "test")),
        Archive("resized_images.zip", "1OVb4_3Uec_xbyUk90aWC6LFpKsIOtR7v"),
    ),
    "image_editing_request": Published(
        tuple(f"{EDITING}/{name}.json" for name in ("train", "valid", "test")),
        None,
        (
            "https://drive.google.com/drive/folders/1p_hkPwRUiLl1RHV3DkzQk3ti-GzHzT7O",
            "https://archive.org/details/image-editing-dataset",
        ),
    ),
}


def is_leftover(path: PurePosixPath) -> bool:
    """Whether an operating system left the file in an archive."""
    return "__MACOSX" in path.parts or path.name.startswith("._") or path.name == ".DS_Store"


def place(path: PurePosixPath) -> PurePosixPath | None:
    """Where a file of a published archive goes below the data set's folder; None for a system's leftovers.

    The enclosing folder (`data/`) falls away; the feature folders are put into `features_resnet101/`, where
    the configurations look for them.
    """
    parts = path.parts
    if is_leftover(path):
        return None
    for depth, part in enumerate(parts[:-1]):
        if part in PICTURE_FOLDERS.values():
            return PurePosixPath(*parts[depth:])
        if part in FEATURE_FOLDERS.values():
            return PurePosixPath("features_resnet101", *parts[depth:])
    return PurePosixPath(*parts[1:]) if len(parts) > 1 else path


def place_picture(path: PurePosixPath) -> PurePosixPath | None:
    """Where a picture goes: into `images/`. Spot-the-Diff's difference pictures (1_diff.jpg) are left out."""
    return None if is_leftover(path) or path.stem.endswith("_diff") else PurePosixPath(PICTURES, path.name)


class Page(HTMLParser):
    """The first form of a web page with its hidden fields, and the page's title."""

    def __init__(self, text: str):
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.title = ""
        self.in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.in_title = tag == "title"
        if tag == "form" and self.action is None:
            self.action = values.get("action", "")
        elif tag == "input" and self.action is not None and "name" in values:
            self.fields.setdefault(values["name"], values.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self.in_title:
            self.title += data.strip()
            self.in_title = False


def is_page(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def read_page(response: requests.Response) -> Page:
    """A web page, its first megabyte at most."""
    text = b""
    with response:
        for piece in response.iter_content(CHUNK):
            text += piece
            if len(text) > CHUNK:
                break
    return Page(text.decode("utf-8", "replace"))


def request(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    """The answer to a GET; a page that asks for confirmation (Drive's for large files) is confirmed once."""
    response = session.get(url, headers=headers, stream=True, timeout=(20, 60))
    if is_page(response) and response.ok:
        page = read_page(response)
        if page.action and "confirm" in page.fields:
            target = urljoin(response.url, page.action)
            response = session.get(target, params=page.fields, headers=headers, stream=True, timeout=(20, 60))
            if not is_page(response):
                return response
            page = read_page(response)
        raise UserError(
            f"{url} gave a web page (“{page.title or 'without a title'}”) instead of the archive. Google Drive does "
            "that for some hours when a file was fetched too often. Try again tomorrow, or fetch it with a browser "
            "and put it where this command would: it checks and unpacks a file that is there."
        )
    return response


def total_size(response: requests.Response, offset: int) -> int | None:
    """The remote file's whole size, where the answer says."""
    if response.status_code == 206 or response.status_code == 416:
        whole = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(whole) if whole.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def starts_at(response: requests.Response) -> int:
    """The offset of the answer's first byte: 0 unless it is a partial answer."""
    if response.status_code != 206:
        return 0
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


def transfer(session: requests.Session, url: str, part: Path, bar: tqdm) -> bool:
    """One connection's worth: continue `part`, or begin it anew where the server offers no continuation.

    Returns whether the file is whole. Raises requests' errors when the connection breaks; what came stays.
    """
    card = part.with_name(f"{part.name}.json")
    known: dict[str, Any] = read_json(card) if card.is_file() else {}
    offset = part.stat().st_size if part.is_file() and known.get("url") == url else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if known.get("mark"):
            headers["If-Range"] = known["mark"]
    with request(session, url, headers) as response:
        whole = total_size(response, offset)
        if response.status_code == 416:
            if whole == offset:
                return True
            part.unlink()  # longer than the remote file: another file's beginning
            return False
        response.raise_for_status()
        begin = starts_at(response)
        if begin not in (0, offset) or (offset and known.get("bytes") not in (None, whole) and begin):
            part.unlink()
            return False
        mark = response.headers.get("ETag", "")
        facts = {"url": url, "bytes": whole, "mark": "" if mark.startswith("W/") else mark}
        if facts != known or not begin:
            with atomic_write(card) as path:
                path.write_text(json.dumps(facts), encoding="utf-8")
        bar.total = whole
        bar.n = begin
        bar.refresh()
        with part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            for piece in response.iter_content(PIECE):
                file.write(piece)
                bar.update(len(piece))
    return whole is None or part.stat().st_size == whole


def fetch(url: str, target: Path, *, pause: float = 2.0) -> None:
    """Download `url` to `target`, continuing an earlier attempt and surviving broken connections.

    pause: seconds before the second try, doubled each time. Raises UserError when nothing new comes in
    TRIES connections, when the server refuses, and when the disk is full; what came is kept.
    """
    import requests

    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    vain, before = 0, -1
    problem: Exception | str = "the server closed the connection early"
    bar = tqdm(desc=target.name, unit="B", unit_scale=True, unit_divisor=1024)
    with bar, requests.Session() as session:
        while True:
            try:
                if transfer(session, url, part, bar):
                    break
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 500
                if status not in (408, 425, 429) and status < 500:
                    raise UserError(
                        f"{url} answers “{error}”. Is the address right, and is the file still shared? You may fetch it "
                        f"with a browser and put it at {target}."
                    ) from error
                problem = error
            except requests.RequestException as error:
                problem = error
            except OSError as error:
                if disk_is_full(error):
                    raise UserError(
                        f"no space left on the disk while downloading {target}; what came so far is kept. Free some space "
                        "and run the same command again; it continues."
                    ) from error
                raise
            now = part.stat().st_size if part.is_file() else 0
            vain, before = (0 if now > before else vain + 1), now
            if vain >= TRIES - 1:
                raise UserError(
                    f"{url} cannot be downloaded ({problem}). What came so far ({now} bytes) is kept in {part}; run the "
                    f"same command again to continue, or fetch the file with a browser and put it at {target}."
                )
            time.sleep(pause * 2**vain)
    part.replace(target)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The file's hash in hexadecimal."""
    digest = hashlib.sha256()
    bar = tqdm(total=path.stat().st_size, desc=f"checking {path.name}", unit="B", unit_scale=True)
    with path.open("rb") as file, bar:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def check(archive: Path, source: str) -> dict[str, Any]:
    """Compare the archive with its record, or write the record. Returns it.

    Raises UserError when size or hash are not those recorded.
    """
    record = archive.with_name(f"{archive.name}.sha256.json")
    found = {"bytes": archive.stat().st_size, "sha256": sha256(archive)}
    if record.is_file():
        known = read_json(record)
        for name, value in found.items():
            if known.get(name) != value:
                raise UserError(
                    f"{archive} has {name} {value}, {record.name} says {known.get(name)}: it is damaged or another version. "
                    f"Delete it and run the same command again; if the publisher replaced it, delete {record.name} too."
                )
        return known
    found |= {"source": source}
    with atomic_write(record) as path:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def download(
    archive: Archive,
    out: Path,
    *,
    url: str | None = None,
    unpacked: bool = True,
    pause: float = 2.0,
    place: Callable[[PurePosixPath], PurePosixPath | None] = place,
) -> dict[str, Any]:
    """Fetch, check and unpack a published archive into `out`; returns its record. Steps already done are not repeated.

    url: another address of the same archive. See `fetch`, `check` and `unpack` for the errors.
    """
    source = url or archive.url
    target = out / archive.name
    if not target.is_file():
        fetch(source, target, pause=pause)
    record = check(target, source)
    if unpacked:
        unpack(target, out, place)
    return record


def download_published(
    published: Published, out: Path, *, url: str | None = None, unpacked: bool = True, pause: float = 2.0
) -> None:
    """Fetch the listings that are not there, then the pictures where that is possible, see `download`.

    url: another address of the pictures.
    """
    for address in published.listings:
        target = out / PurePosixPath(address).name
        if not target.is_file():
            fetch(address, target, pause=pause)
    if published.pictures is not None:
        download(published.pictures, out, url=url, unpacked=unpacked, pause=pause, place=place_picture)
