"""Downloads against a local server that behaves in all the ways a server may."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from idc.data import LISTED
from idc.data.download import (
    ARCHIVES,
    PIECE,
    PUBLISHED,
    TRIES,
    Archive,
    Page,
    Published,
    download,
    download_published,
    fetch,
    place,
)
from idc.errors import UserError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
CONFIRMATION = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="{action}" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="abc"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="1-2-3"></form></body></html>"""


class Server(ThreadingHTTPServer):
    """Serves `content`; the flags say how badly."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag = '"one"'
        self.ranges = True  # honours Range
        self.says_size = True
        self.drop_after: int | None = None  # bytes per connection
        self.statuses: list[int] = []  # answered first, one each
        self.page: str | None = None  # a page instead of the file
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments: Any) -> None:
        pass

    def send_page(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(dict(self.headers))
        query = parse_qs(urlsplit(self.path).query)
        if server.statuses:
            self.send_page("trouble", server.statuses.pop(0))
            return
        if server.page is not None and query.get("uuid") != ["1-2-3"]:
            self.send_page(server.page)
            return
        begin = 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", server.etag) == server.etag
        if match and server.ranges and fresh:
            begin = int(match[1])
            if begin >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            end = len(server.content)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{end}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("ETag", server.etag)
        if server.says_size:
            self.send_header("Content-Length", str(len(server.content) - begin))
        self.end_headers()
        stop = None if server.drop_after is None else begin + server.drop_after
        try:
            self.wfile.write(server.content[begin:stop])
        except (BrokenPipeError, ConnectionResetError):
            return


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def get(server: Server, target: Path) -> bytes:
    fetch(server.url, target, pause=0.0)
    assert sorted(p.name for p in target.parent.iterdir()) == [target.name], "nothing is left over"
    return target.read_bytes()


def ranges(server: Server) -> list[str | None]:
    return [asked.get("Range") for asked in server.asked]


def test_in_one_go(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == [None]


def test_a_connection_that_drops_is_continued(server: Server, tmp_path: Path) -> None:
    server.drop_after = 18 * PIECE + 5
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == [None, f"bytes={18 * PIECE}-", f"bytes={36 * PIECE}-"]
    assert server.asked[1]["If-Range"] == '"one"'


def test_a_later_run_continues(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.bin"
    server.drop_after = 6 * PIECE

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("time.sleep", interrupt)
        fetch(server.url, target, pause=0.0)
    assert not target.exists() and (tmp_path / "a.bin.part").stat().st_size == 6 * PIECE
    server.drop_after = None
    assert get(server, target) == CONTENT
    assert ranges(server) == [None, f"bytes={6 * PIECE}-"]


def test_a_file_that_changed_meanwhile_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"old" * 1000)
    card = {"url": server.url, "bytes": 3_000_000, "mark": '"zero"'}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(card), encoding="utf-8")
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert server.asked[0]["If-Range"] == '"zero"'


def test_a_changed_size_without_a_mark_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"old" * 1000)
    card = {"url": server.url, "bytes": 2_999_999, "mark": ""}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(card), encoding="utf-8")
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == ["bytes=3000-", None]


def test_a_part_from_elsewhere_is_not_trusted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"other")
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == [None]


@pytest.mark.parametrize(("size", "requests"), [(len(CONTENT), 1), (len(CONTENT) + 5, 2)])
def test_a_part_that_is_whole_or_too_long(server: Server, tmp_path: Path, size: int, requests: int) -> None:
    """Killed after the last byte and before the renaming; or another file's beginning."""
    (tmp_path / "a.bin.part").write_bytes((CONTENT + b"extra")[:size])
    card = {"url": server.url, "bytes": len(CONTENT), "mark": '"one"'}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(card), encoding="utf-8")
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert len(server.asked) == requests


def test_a_server_that_ignores_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    card = {"url": server.url, "bytes": len(CONTENT), "mark": ""}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(card), encoding="utf-8")
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == ["bytes=1000-"]


def test_a_server_that_drops_and_cannot_continue(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, PIECE
    with pytest.raises(UserError, match=r"cannot be downloaded .*65536 bytes\) is kept in .*a\.bin\.part"):
        fetch(server.url, tmp_path / "a.bin", pause=0.0)
    assert len(server.asked) == TRIES and not (tmp_path / "a.bin").exists()


def test_a_server_that_does_not_say_the_size(server: Server, tmp_path: Path) -> None:
    server.says_size = False
    assert get(server, tmp_path / "a.bin") == CONTENT


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert get(server, tmp_path / "a.bin") == CONTENT


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal(server: Server, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(UserError, match=f"answers “{status} .*with a browser and put it at"):
        fetch(server.url, tmp_path / "a.bin", pause=0.0)
    assert len(server.asked) == 1


def test_nobody_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded .*0 bytes"):
        fetch("http://127.0.0.1:9/file", tmp_path / "a.bin", pause=0.0)


def test_a_confirmation_page_is_confirmed(server: Server, tmp_path: Path) -> None:
    """Also on the way back after a drop: the continued request meets the page again."""
    server.page, server.drop_after = CONFIRMATION.format(action=server.url), 30 * PIECE
    assert get(server, tmp_path / "a.bin") == CONTENT
    assert ranges(server) == [None, None, *[f"bytes={30 * PIECE}-"] * 2]


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<html><head><title>Google Drive - Quota exceeded</title></head></html>", "Google Drive - Quota exceeded"),
        ("<form action='/login'><input name='user'></form>", "without a title"),
        (CONFIRMATION.format(action="/again").replace("1-2-3", "4"), "Google Drive - Virus scan warning"),
    ],
)  # fmt: skip
def test_a_page_instead_of_the_archive(server: Server, tmp_path: Path, page: str, title: str) -> None:
    server.page = page
    with pytest.raises(UserError, match=f"gave a web page \\(“{title}”\\) instead of the archive"):
        fetch(server.url, tmp_path / "a.bin", pause=0.0)
    assert not list(tmp_path.iterdir())


def test_forms_are_read() -> None:
    page = Page(
        "<title>A</title><form action='x?a=1&amp;b=2'><input name=confirm value=t><input type=submit></form>"
    )
    assert (page.action, page.fields, page.title) == ("x?a=1&b=2", {"confirm": "t"}, "A")


def archive_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FILES = {
    "data/images/CLEVR_default_000000.png": b"1",
    "data/splits.json": b"{}",
    "data/features/CLEVR_default_000000.png.npy": b"2",
    "data/._splits.json": b"junk",
}


def test_fetch_check_unpack(server: Server, tmp_path: Path) -> None:
    server.content = archive_of(FILES)
    archive = Archive("published.tar.gz", "id")
    record = download(archive, tmp_path, url=server.url, pause=0.0)
    assert record["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert record["bytes"] == len(server.content) and record["source"] == server.url
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {
        "published.tar.gz",
        "published.tar.gz.sha256.json",
        "images/CLEVR_default_000000.png",
        "splits.json",
        "features_resnet101/features/CLEVR_default_000000.png.npy",
    }
    assert download(archive, tmp_path, url=server.url, pause=0.0) == record
    assert len(server.asked) == 1, "what is there is not fetched again"


def test_an_archive_that_is_not_the_recorded_one(server: Server, tmp_path: Path) -> None:
    server.content = archive_of(FILES)
    archive = Archive("published.tar.gz", "id")
    download(archive, tmp_path, url=server.url, pause=0.0)
    file = tmp_path / archive.name
    file.write_bytes(file.read_bytes()[:-3] + b"abc")
    with pytest.raises(UserError, match=r"has sha256 .*sha256\.json says .*Delete it and run"):
        download(archive, tmp_path, url=server.url, pause=0.0)
    file.write_bytes(b"short")
    with pytest.raises(UserError, match="has bytes 5"):
        download(archive, tmp_path, url=server.url, pause=0.0)


def test_a_file_brought_by_hand_is_checked_and_unpacked(tmp_path: Path) -> None:
    (tmp_path / "published.tar.gz").write_bytes(archive_of(FILES))
    download(Archive("published.tar.gz", "id"), tmp_path, url="http://127.0.0.1:9/")
    assert (tmp_path / "splits.json").read_bytes() == b"{}"


def test_only_fetched(server: Server, tmp_path: Path) -> None:
    download(Archive("a.bin", "id"), tmp_path, url=server.url, unpacked=False, pause=0.0)
    assert {p.name for p in tmp_path.iterdir()} == {"a.bin", "a.bin.sha256.json"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/nsc_images/CLEVR_nonsemantic_000001.png", "nsc_images/CLEVR_nonsemantic_000001.png"),
        ("sc_features/CLEVR_semantic_000001.png.npy", "features_resnet101/sc_features/CLEVR_semantic_000001.png.npy"),
        ("./data/type_mapping.json", "type_mapping.json"),
        ("transformer_labels.h5", "transformer_labels.h5"),
        ("__MACOSX/data/splits.json", None),
        ("data/images/.DS_Store", None),
    ],
)  # fmt: skip
def test_where_published_files_go(name: str, expected: str | None) -> None:
    result = place(PurePosixPath(name))
    assert (None if result is None else str(result)) == expected


def test_the_published_addresses() -> None:
    assert "id=1HJ3gWjaUJykEckyb2M0MB4HnrJSihjVe&" in ARCHIVES["data"].url
    assert "id=1FA9mYGIoQ_DvprP6rtdEve921UXewSGF&" in ARCHIVES["features"].url


def test_listings_and_their_pictures(server: Server, tmp_path: Path) -> None:
    server.content = archive_of(
        {"resized_images/1.png": b"1", "resized_images/1_2.png": b"2", "resized_images/1_diff.jpg": b"3"}
        | {"resized_images/.DS_Store": b"junk", "__MACOSX/resized_images/._1.png": b"junk"}
    )
    address = server.url.removesuffix("/file")
    published = Published((f"{address}/a/train.json", f"{address}/a/val.json"), Archive("p.zip", "id"))
    (tmp_path / "val.json").write_bytes(b"[]")
    for _ in range(2):
        download_published(published, tmp_path, url=server.url, pause=0.0)
        assert len(server.asked) == 2, "val.json was there, and nothing is fetched twice"
    assert (tmp_path / "train.json").read_bytes() == server.content and (
        tmp_path / "val.json"
    ).read_bytes() == b"[]"
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"1.png", "1_2.png"}
    listed = Published((f"{address}/train.json",), None, ("https://example.org",))
    download_published(listed, tmp_path / "other", pause=0.0)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["train.json"]


@pytest.mark.parametrize("kind", LISTED)
def test_the_published_listings_are_those_that_are_read(kind: str, tmp_path: Path) -> None:
    names = [PurePosixPath(address).name for address in PUBLISHED[kind].listings]
    for name in names:
        assert not (tmp_path / name).exists()
        with pytest.raises(UserError, match=rf"{name} is missing; .* --what {kind} "):
            LISTED[kind].listing(tmp_path)
        record = {"img_id": name, "sentences": ["x"], "uid": name, "img0": "a", "img1": "b", "sents": ["x"]}
        (tmp_path / name).write_text(json.dumps([record]), encoding="utf-8")
    assert [len(pairs) for pairs in LISTED[kind].listing(tmp_path).pairs.values()] == [1, 1, 1]
