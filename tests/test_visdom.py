"""visdom's server: seen in a real browser, without the internet; and what it says when it cannot start."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from idc import visdom_server
from idc.errors import UserError
from idc.training.log import METRICS, VisdomLogger, make_loggers, read_metrics

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody answers


def start(port: int, saved: Path) -> subprocess.Popen[str]:
    """The server as a user starts it, with no way to the internet."""
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    return subprocess.Popen(
        [sys.executable, "-m", "idc.visdom_server", "--port", str(port), "--env", str(saved)],
        env=os.environ | closed | {"no_proxy": "localhost,127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(server: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    server.kill()
    pytest.fail(f"the server did not start: {server.communicate()}")


@pytest.fixture(scope="module")
def scripts(without: Callable[[str, str], None]) -> Path:
    """The page's scripts, in the user's cache as for a user; they come from npm the first time."""
    try:
        return visdom_server.static_files()
    except UserError as error:
        without(f"visdom's scripts cannot be had: {error}", "install npm")
        raise


@pytest.fixture
def server(scripts: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = visdom_server.free_port()
    process = start(port, tmp_path / "windows")
    try:
        wait_for(process, port)
        yield process, port
    finally:
        process.kill()
        process.communicate()


@pytest.mark.browser
def test_a_resumed_run_is_one_curve_in_the_browser(
    server: tuple[subprocess.Popen[str], int], browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged before and after a resume; the page gets everything from the server and draws every point once."""
    _, port = server
    monkeypatch.setenv("VISDOM_PORT", str(port))
    run = tmp_path / "demo"
    for steps in ((1, 2, 3), (4, 5)):
        logger = make_loggers(["visdom"], run)
        for step in steps:
            logger.log(step, {"loss/caption": 5.0 / step, "loss/cross_view": 1.0 / step, "lr": 1e-4})
        logger.close()

    page = browser.new_page(viewport={"width": 1300, "height": 800})
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(request.url))
    page.on("response", lambda response: trouble.append(response.url) if response.status >= 400 else None)
    page.goto(f"http://127.0.0.1:{port}/env/demo")
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace path.js-line", state="attached")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 2")
    curves = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => "
        "plot.data.map(curve => [curve.name, curve.x.map(Number), curve.y.map(Number)]))"
    )
    assert {name: steps for name, steps, _ in curves} == {
        name: [1, 2, 3, 4, 5] for name in ("loss/caption", "loss/cross_view", "lr")
    }
    drawn = {name: values for name, _, values in curves}
    assert drawn["loss/caption"] == pytest.approx([5 / step for step in range(1, 6)])
    box = page.locator(".js-plotly-plot .scatterlayer .trace path.js-line").first.bounding_box()
    assert box["width"] > 50 and box["height"] > 50
    assert "online" in page.inner_text("body")
    assert trouble == []
    page.close()


def test_a_server_that_goes_away_does_not_stop_training(
    server: tuple[subprocess.Popen[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    process, port = server
    monkeypatch.setenv("VISDOM_PORT", str(port))
    logger = make_loggers(["visdom"], tmp_path / "run")
    logger.log(1, {"loss/caption": 1.0})
    process.kill()
    process.wait()
    for step in (2, 3, 4):
        logger.log(step, {"loss/caption": 1.0})
    logger.close()
    assert len(read_metrics(tmp_path / "run" / METRICS)) == 4
    said = capsys.readouterr().err
    assert said.count("went away") == 1 and "from step 2 on" in said


def test_no_server_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    port = visdom_server.free_port()
    with pytest.raises(UserError, match=rf"port {port}\. .*idc\.visdom_server --port {port}"):
        VisdomLogger(tmp_path, port=port)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_one_paragraph_with_the_way_out(taken_port: int, tmp_path: Path) -> None:
    process = start(taken_port, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and out == ""
    assert err.startswith(f"error: port {taken_port} cannot be used") and err.count("\n") == 1
    assert "--port" in err and "VISDOM_PORT" in err


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port(port: int) -> None:
    with pytest.raises(UserError, match="from 1 to 65535"):
        visdom_server.check_port(port)


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts an npm on an otherwise empty PATH that runs a Python script; the cache is empty."""

    def make(script: str) -> Path:
        programs = tmp_path / "bin"
        programs.mkdir()
        npm = programs / "npm"
        npm.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
        npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(programs))
        monkeypatch.setenv("IDC_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    return make


PACK = """
import io, sys, tarfile
sys.path.insert(0, {root!r})
from idc.visdom_server import FILES, archive_name
assert sys.argv[1] == "pack" and "--ignore-scripts" in sys.argv
open({calls!r}, "a").write("called ")
for package in sys.argv[2:]:
    if not package.startswith("--"):
        with tarfile.open(archive_name(package), "w:gz") as archive:
            for inside in [*FILES[package], "evil/../../../outside"]:
                content = ("content of " + inside).encode()
                entry = tarfile.TarInfo("package/" + inside)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
"""


def test_scripts_are_fetched_once_and_only_those_that_are_needed(
    fake_npm: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    cache = fake_npm(PACK.format(root=str(Path(visdom_server.__file__).parents[1]), calls=str(calls)))
    static = visdom_server.static_files()
    assert static == visdom_server.static_files()
    assert calls.read_text() == "called "
    assert (static / "js" / "jquery.min.js").read_text() == "content of dist/jquery.min.js"
    assert all(
        (static / target).is_file() for files in visdom_server.FILES.values() for target in files.values()
    )
    assert (static / "js" / "main.js").is_file(), "what visdom itself brings is there, too"
    assert (static.parent / "user" / "style.css").is_file()
    assert {path.name for path in cache.iterdir()} == {static.parent.name}
    assert {path.name for path in static.parent.iterdir()} == {"static", "user"}
    assert not list(tmp_path.rglob("outside"))


def test_npm_without_network_says_so_and_leaves_nothing_behind(
    fake_npm: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    cache = fake_npm(
        "import sys\nprint('npm error code ENOTFOUND', file=sys.stderr)\nprint('npm error network', file=sys.stderr)\n"
        "sys.exit(1)"
    )
    with pytest.raises(UserError, match=r"ENOTFOUND.*logger=\[tensorboard\]"):
        visdom_server.static_files()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_no_npm_and_no_internet_is_an_error_that_offers_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IDC_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
        monkeypatch.setenv(name.upper(), NOWHERE)
    monkeypatch.setattr("urllib.request._opener", None)
    with pytest.raises(UserError, match=r"no npm here, .*Install npm or connect.*logger=\[tensorboard\]"):
        visdom_server.static_files()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
