"""The page of `idc.app` in a real Chromium, offline: examples, uploads, what is no picture; and what it says."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from idc import album, app
from idc.app import LARGEST_FILE, Voice, answer_html, checked, examples
from idc.config import load_config, save_config
from idc.errors import UserError
from idc.retrieve import nearest_captions
from idc.show import SMALL_WORDS, Said, caption_pair
from idc.systems.clip4idc import CLIP4IDC, CLIP4IDCConfig
from idc.training.checkpoint import SnapshotFacts, load_system, save_snapshot, write_best
from idc.training.loop import open_split
from idc.visdom_server import free_port
from tests.systems.clip4idc import tiny
from tests.tiny_world import make_world, write_config

SHOTS = os.environ.get("IDC_SHOTS")  # a folder for screenshots, to look at
WAIT = 60_000  # milliseconds
# What every process of the page asks the network for, by Python's own audit events.
LISTENER = """
import sys

def note(event, details):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open({log!r}, "a") as log:
            log.write(f"{{event}} {{details[1] if event == 'socket.connect' else details[0]}}\\n")

sys.addaudithook(note)
"""


def make_clip_run(folder: Path) -> Path:
    """A run of an untrained CLIP4IDC, with the data that its captions come from. Its two stages differ in their weights."""
    root = make_world(folder / "data", shape=(3, 96, 96))
    (root / "features_tiny").rename(root / "features_pixels96")
    sections = {
        "system": "clip4idc",
        "model": tiny.SETTINGS,
        "data": {"root": str(root), "backbone": "pixels96"},
        "exp_name": "clip",
    }
    config = load_config(write_config(folder / "clip.yaml", root, **sections))
    data = open_split(config, "test")
    made = tiny.plan()
    vision = made.config["vision_cfg"] | {"image_size": 96, "patch_size": 32}
    text = made.config["text_cfg"] | {"vocab_size": len(data.vocabulary)}
    plan = dataclasses.replace(
        made, config=made.config | {"vision_cfg": vision, "text_cfg": text}, words=data.vocabulary.words
    )
    for stage in config.to_train():
        torch.manual_seed(len(stage.present.name))
        system = CLIP4IDC(CLIP4IDCConfig(**tiny.SETTINGS), data.vocabulary, (3, 96, 96), plan.build(), plan)
        facts = SnapshotFacts("clip4idc", 3, (3, 96, 96), data.longest, "pixels96", {})
        save_config(stage, stage.run_folder / "config.yaml")
        save_snapshot(stage.run_folder / "snapshots" / "3", system, stage, facts)
        write_best(stage.run_folder, {"step": 3, "metric": "CIDEr", "value": 0.0})
    return config.run_folder


class Server(NamedTuple):
    """The page under way. asked: what its processes asked the network for."""

    address: str
    asked: Path
    clip: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`python -m idc.app` as a user starts it, where nobody answers for the internet."""
    folder = tmp_path_factory.mktemp("app")
    run = make_clip_run(folder)
    asked, temporary, port = folder / "asked.txt", folder / "temporary", free_port()
    (folder / "sitecustomize.py").write_text(LISTENER.format(log=str(asked)), encoding="utf-8")
    temporary.mkdir()
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    local = {"PYTHONPATH": paths, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with (
        (folder / "trouble.txt").open("w+", encoding="utf-8") as trouble,
        subprocess.Popen(
            [sys.executable, "-m", "idc.app", "--run", str(run), "--port", str(port)],
            env={name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
            | nowhere
            | local,
            stdout=subprocess.PIPE,
            stderr=trouble,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        if f"http://127.0.0.1:{port}" not in process.stdout.readline():
            pytest.fail(f"the page did not start: {trouble.seek(0)}{trouble.read()}")
        yield Server(f"http://127.0.0.1:{port}/", asked, run)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert not list(temporary.iterdir()), "uploads are forgotten"
    connections = asked.read_text(encoding="utf-8").splitlines()
    strange = [line for line in connections if not re.search(r"127\.0\.0\.1|localhost|None$", line)]
    assert connections and not strange


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page, opened; whatever it asked for came from the server, and nothing went wrong on the way."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    requests: list[str] = []
    trouble: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(server.address)
    page.wait_for_selector("button:has-text('What changed?')")
    page.wait_for_selector(".examples img")
    yield page
    strange = [url for url in requests if not url.startswith((server.address, "data:", "blob:"))]
    context.close()
    assert len(requests) > 20 and not strange
    assert not trouble


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"app_{name}.png"), full_page=True)


def upload(page: Any, before: Path, after: Path) -> None:
    """Put two files in and press the button."""
    for which, file in (("Before", before), ("After", after)):
        field = page.locator(".picture", has=page.locator(f"label:has-text('{which}')"))
        field.locator("input[type=file]").set_input_files(file)
        page.wait_for_timeout(300)
    page.click("button:has-text('What changed?')")


def choose_system(page: Any, name: str) -> None:
    page.click("input[aria-label=System]")
    page.click(f"li:has-text('{name}')")


def said_on(page: Any) -> str:
    page.wait_for_selector(".answer .said")
    return page.inner_text(".answer .said")


@pytest.mark.browser
def test_an_example_is_captioned_and_every_word_shows_where_it_looked(page: Any) -> None:
    shoot(page, "start")
    page.locator(".examples .thumbnail-item").nth(3).click()
    example = examples()[3]
    expected = caption_pair(*example.files)
    assert said_on(page) == expected.sentence
    assert page.inner_text(".answer .mark") in ("✓ true", "✗ not true")
    assert "in truth: " in page.inner_text(".answer")
    telling = [word for word in expected.words if word not in SMALL_WORDS]
    labels = page.locator(".answer .said label")
    assert labels.all_inner_texts() == telling
    visible = page.locator(".answer .look:visible img")
    assert visible.count() == 2
    first = [image.get_attribute("src") for image in visible.all()]
    labels.nth(2).click()
    assert visible.count() == 2
    assert all(image.evaluate("each => each.naturalWidth") > 50 for image in visible.all())
    assert f"where “{telling[2]}” looked" in visible.first.get_attribute("alt")
    assert [image.get_attribute("src") for image in visible.all()] != first
    page.keyboard.press("ArrowRight")  # the words are radio buttons, for those without a mouse
    assert f"where “{telling[3]}” looked" in visible.first.get_attribute("alt")
    shoot(page, "example")


@pytest.mark.browser
def test_two_uploaded_pictures_are_captioned(page: Any, tmp_path: Path) -> None:
    files = album.files(44)
    Image.open(files["default"]).save(tmp_path / "a.jpg", quality=95)
    after = files["semantic"]
    page.locator(".examples .thumbnail-item").nth(0).click()
    said_on(page)
    for _ in range(2):
        page.locator(".picture button[aria-label*='Remove'], .picture button[title*='Remove']").first.click()
        page.wait_for_timeout(300)
    upload(page, tmp_path / "a.jpg", after)
    page.wait_for_function("!document.querySelector('.answer .mark')")  # nobody knows the truth about these
    assert said_on(page) == caption_pair(tmp_path / "a.jpg", after).sentence


@pytest.mark.browser
def test_what_is_no_picture_is_said_on_the_page(page: Any, tmp_path: Path) -> None:
    picture = album.files(44)["semantic"]
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "disguised.png").write_text("no picture", encoding="utf-8")
    upload(page, tmp_path / "notes.txt", picture)
    page.wait_for_selector("text=Invalid file type: notes.txt")
    page.wait_for_selector(".trouble:has-text('no picture before')")
    shoot(page, "trouble")
    page.locator(".picture input[type=file]").first.set_input_files(tmp_path / "disguised.png")
    page.wait_for_timeout(300)
    page.click("button:has-text('What changed?')")
    page.wait_for_selector(".trouble[role=alert]:has-text('“disguised.png” is not a picture')")


@pytest.mark.browser
def test_a_file_that_is_too_large_is_not_taken(page: Any, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(LARGEST_FILE * 2**20 + 1))
    page.locator(".picture input[type=file]").first.set_input_files(tmp_path / "large.png")
    page.wait_for_selector("text=exceed the maximum allowed size")


@pytest.mark.browser
def test_a_system_with_retrieval_shows_captions_like_it(page: Any, server: Server) -> None:
    for name in (f"{server.clip}: clip4idc", "bundled"):
        choose_system(page, name)
        page.wait_for_timeout(1000)  # nothing is to come: there are no pictures yet
        assert page.locator(".hint").is_visible() and page.locator(".trouble").count() == 0
    page.locator(".examples .thumbnail-item").nth(0).click()
    said_on(page)
    assert page.locator(".answer li").count() == 0
    choose_system(page, f"{server.clip}: clip4idc")
    page.wait_for_selector(".answer li")
    texts = [re.sub(r" -?\d\.\d\d$", "", text) for text in page.locator(".answer li").all_inner_texts()]
    assert sorted(texts) == ["it moved", "the blue ball moved", "the green ball moved"]
    assert re.search(r"looked, \d+% of its attention", page.inner_text(".answer .look:visible"))
    page.wait_for_selector(".answer .look:visible")
    page.wait_for_timeout(1000 if SHOTS else 0)
    shoot(page, "retrieval")


# -- without a browser ------------------------------------------------------------------------------------


def test_the_stage_that_learnt_retrieval_looks_for_captions(tmp_path: Path) -> None:
    run = make_clip_run(tmp_path)
    files = album.files(44)["default"], album.files(44)["semantic"]
    voice, stage = Voice(run), load_system(run / "adapt" / "snapshots" / "3")
    pairs = voice.captioner.pairs([files])
    assert voice.nearest(*files) == nearest_captions(stage, pairs, voice.texts)[0]
    assert voice.nearest(*files) != nearest_captions(voice.captioner.system, pairs, voice.texts)[0]

    skipped = (run / "config.yaml").read_text(encoding="utf-8") + "stages: {adapt: {skip: true}}\n"
    (run / "config.yaml").write_text(skipped.replace("stages: {}\n", ""), encoding="utf-8")
    assert Voice(run).nearest(*files) == []


def test_examples_show_changes_and_other_views() -> None:
    kinds = [example.kind for example in examples()]
    assert len(kinds) == len(album.scenes()) and 3 < kinds.count("nonsemantic") < len(kinds) / 2
    assert examples()[0].side_by_side().size == (160 + 4 + 160, 120)


def picture(folder: Path, name: str, content: bytes | None = None) -> dict[str, Any]:
    """An upload as gradio hands it on."""
    path = folder / name
    path.write_bytes(album.files(44)["default"].read_bytes() if content is None else content)
    return {"path": str(path), "orig_name": name}


def test_a_picture_is_taken(tmp_path: Path) -> None:
    assert checked(picture(tmp_path, "a.png"), "before") == tmp_path / "a.png"


WHOLE = album.files(44)["default"].read_bytes()
REFUSED = {
    "text.png": (b"no picture", "“text.png” is not a picture"),
    "empty.png": (b"", "“empty.png” is not a picture"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "“drawing.svg” is not a picture"),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "“program.eps” is not a picture"),
    "half.png": (WHOLE[: len(WHOLE) // 2], "“half.png” is damaged"),
    "large.png": (WHOLE + bytes(LARGEST_FILE * 2**20), "“large.png” has more than 10 MB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    content, reason = REFUSED[name]
    with pytest.raises(UserError, match=reason):
        checked(picture(tmp_path, name, content), "before")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    Image.new("1", (6000, 5000)).save(tmp_path / "vast.png")
    with pytest.raises(UserError, match="6000 x 5000 pixels"):
        checked({"path": str(tmp_path / "vast.png"), "orig_name": None}, "after")


def test_nothing_put_in_is_told() -> None:
    with pytest.raises(UserError, match="no picture after"):
        checked(None, "after")


def test_words_cannot_be_markup() -> None:
    files = album.files(44)
    said = Said("<b>", ("<b>",), np.ones((1, 7, 7)))
    page = answer_html(said, files["default"], files["semantic"], near=[("<i>", 0.5)])
    assert "<b>" not in page and "&lt;b&gt;" in page and "<i>" not in page and "&lt;i&gt;" in page


def test_a_long_caption_has_no_more_looks_than_the_page_can_switch() -> None:
    files = album.files(44)
    words = tuple(f"word{number}" for number in range(60))
    page = answer_html(Said(" ".join(words), words, np.ones((60, 7, 7))), files["default"], files["semantic"])
    assert page.count('class="look look-') == page.count("<input") == app.MOST_LOOKS + 1
    assert f"#look-{app.MOST_LOOKS}:checked" in app.STYLE and "word59" in page


def test_saying_nothing_is_shown_as_nothing() -> None:
    files = album.files(44)
    page = answer_html(Said("", (), np.ones((1, 7, 7))), files["default"], files["semantic"])
    assert "<em>(nothing)</em>" in page and page.count("<img") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "a port is a number from 1 to 65535"),
        (["--run", "nowhere"], "nowhere has no snapshots"),
    ],
)
def test_bad_input_is_one_paragraph(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["idc.app", *arguments])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2 and said in capsys.readouterr().err


def test_a_port_where_somebody_answers() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} already.*--port \d+"):
            app.check_port(port)
