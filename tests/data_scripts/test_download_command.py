"""The command that fetches the published archives, given another address: a local server's."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "download.py"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server with one archive, `archive`, that holds data/splits.json."""
    folder = tmp_path / "served"
    folder.mkdir()
    (tmp_path / "splits.json").write_text('{"train": [0]}', encoding="utf-8")
    with tarfile.open(folder / "archive", "w:gz") as tar:
        tar.add(tmp_path / "splits.json", "data/splits.json")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_fetches_checks_and_unpacks(address: str, tmp_path: Path) -> None:
    out = tmp_path / "clevr_change"
    result = run("--what", "data", "--out", out, "--url", f"{address}/archive")
    assert result.returncode == 0, result.stderr
    record = json.loads((out / "clevr_change.tar.gz.sha256.json").read_text(encoding="utf-8"))
    assert record["sha256"] in result.stdout and str(record["bytes"]) in result.stdout
    assert json.loads((out / "splits.json").read_text(encoding="utf-8")) == {"train": [0]}


def test_errors_are_one_paragraph(address: str, tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out", "--url", f"{address}/nothing")
    assert result.returncode == 2 and "answers “404" in result.stderr and "Traceback" not in result.stderr


def test_a_data_set_whose_pictures_are_fetched_by_hand(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.json").write_text("[]", encoding="utf-8")
    result = run("--what", "image_editing_request", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"with a browser into {tmp_path / 'images'}: https://" in result.stdout
