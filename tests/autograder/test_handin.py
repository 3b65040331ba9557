"""A report read as bytes: the same verdict as of the folder, and nothing in it can do harm."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from autograder.handin import MOST, MOST_JSON, PNG, check_files, check_handin, read_json
from idc.errors import UserError


def picture(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, with almost nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.fixture
def report() -> dict[str, bytes]:
    return {
        "metrics.jsonl": b'{"step": 1, "loss/caption": 4.0}\n{"lr": 0.1}\n{"loss/caption": 1.5, "norm": Infinity}\n',
        "results.json": b'{"val": {}, "test": {}}',
        "triples.png": picture(800, 600),
        "pieces.json": b'{"info_nce": "def info_nce(similarity): ..."}',
    }


def test_a_whole_report_has_four_points_as_a_folder_and_as_bytes(
    report: dict[str, bytes], tmp_path: Path
) -> None:
    for name, content in report.items():
        (tmp_path / name).write_bytes(content)
    assert check_handin(tmp_path) == check_files(report) == 4
    assert "everything is in" in str(check_files(report))


def test_a_figure_written_by_a_drawing_library_counts(report: dict[str, bytes], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "x.png")
    assert check_files(report | {"triples.png": (tmp_path / "x.png").read_bytes()}) == 4


@pytest.mark.parametrize("name", ["metrics.jsonl", "results.json", "triples.png", "pieces.json"])
def test_each_file_is_a_point(report: dict[str, bytes], name: str) -> None:
    del report[name]
    assert check_files(report) == 3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("metrics.jsonl", b'{"loss/caption": NaN}\n{"loss/caption": 1}', "caption loss fell"),
        ("metrics.jsonl", b'{"loss/caption": Infinity}\n{"loss/caption": 1}', "caption loss fell"),
        ("metrics.jsonl", b'{"loss/caption": 4}\n{"loss/caption": NaN}', "caption loss fell"),
        ("metrics.jsonl", b'{"loss/caption": "4"}\n{"loss/caption": "1"}', "caption loss fell"),
        ("metrics.jsonl", b'{"loss/caption": true}\n{"loss/caption": false}', "caption loss fell"),
        ("metrics.jsonl", b'{"loss/caption": 4}\n{"loss/caption": 3.9}', "caption loss fell"),
        ("metrics.jsonl", b"\xff\xfe" + '{"loss/caption": 4}'.encode("utf-16-le"), "caption loss fell"),
        ("metrics.jsonl", b'["loss/caption"]', "must hold an object"),
        ("metrics.jsonl", b" " * (MOST + 1), "larger than 32 MB"),
        ("results.json", b"[]", "must hold an object"),
        ("results.json", b'{"val": 1, "test": NaN}', "NaN"),
        ("results.json", b'{"val": 1, "test": 1e999}', "1e999"),
        ("results.json", b'{"val": 1, "val": 2, "test": 1}', "“val” stands there twice"),
        ("results.json", b'{"val": 1, "test": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (
            "results.json",
            b'{"val": 1, "test": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
            "nested too deeply",
        ),
        ("results.json", b"\x80\x04K\x01.", "not UTF-8"),
        ("results.json", b'"' + b"x" * MOST_JSON + b'"', "larger than 4 MB"),
        ("pieces.json", b"{}", "at least one piece"),
        ("triples.png", b"GIF89a", "no PNG"),
        ("triples.png", picture(100, 1000), "the figure of triples"),
        ("triples.png", picture(10, 10)[:-12], "cut off"),
        ("triples.png", PNG + struct.pack(">I", 2**32 - 1) + b"IHDR" + b"\0" * 20, "cut off"),
    ],
)
def test_what_cannot_be_used_costs_its_point_and_says_why(
    report: dict[str, bytes], name: str, content: bytes, says: str
) -> None:
    points = check_files(report | {name: content})
    assert points == 3
    assert says in str(points)


def test_a_picture_that_would_fill_the_memory_is_only_looked_at(report: dict[str, bytes]) -> None:
    assert check_files(report | {"triples.png": picture(2**31 - 1, 2**31 - 1)}) == 4


def test_a_file_larger_than_any_report_is_not_read_whole(report: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in report.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "metrics.jsonl").open("wb") as stream:
        stream.truncate(2**34)  # 16 GB, none of it on the disk
    assert check_handin(tmp_path) == 3


def test_a_signature_at_the_beginning_of_the_text_is_no_mistake() -> None:
    assert read_json(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode(), "x.json") == {"a": 1}


def test_broken_json_is_an_error_that_names_the_file() -> None:
    with pytest.raises(UserError, match=r"x\.json cannot be read as JSON"):
        read_json(b"{'a': 1}", "x.json")
