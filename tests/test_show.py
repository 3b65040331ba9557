"""Captions of pictures, and the page of a run: judged rightly, self-contained, and clear about bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from idc import show
from idc.backbones import rendered
from idc.captioner.search import Search
from idc.config import Config, load_config, save_config
from idc.data.captions import preprocess
from idc.data.grids import GridWriter, open_grids
from idc.data.layout import KINDS, PICTURE_FOLDERS, picture, scene_id
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.metrics.facts import judge, parse
from idc.report import about_others, curves_image, evenly, read_scores, write_report
from idc.show import (
    Captioner,
    Said,
    TripleCaptions,
    caption_pair,
    caption_world,
    heat,
    read_out,
    remark,
    show_run,
)
from idc.systems import system_class
from idc.training.checkpoint import SnapshotFacts, save_snapshot, write_best
from idc.training.log import METRICS
from idc.training.loop import open_split
from idc.training.validate import caption_split
from idc.world.layout import split_ids, write_listings
from idc.world.scene import Change, Object, Scene, Triple
from idc.world.triple import sample_triple, triple_to_dict
from tests.tiny_world import write_config

SIZE = (32, 24)
SCENES = 12


class Run(NamedTuple):
    """A data set with scene graphs and pictures of noise, and a run on it."""

    root: Path
    folder: Path
    snapshot: Path
    config: Config


def make_pictures(root: Path, rng: np.random.Generator) -> None:
    for kind in KINDS:
        (root / PICTURE_FOLDERS[kind]).mkdir(parents=True)
        for scene in range(SCENES):
            pixels = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / PICTURE_FOLDERS[kind] / picture(kind, scene))


def record(scene: int) -> dict[str, Any]:
    """A line of scenes.jsonl, with a box for every object."""
    triple = sample_triple(3, scene)
    boxes = {
        kind: [[2.0 * i, 1.0 * i, 8.0, 6.0] for i in range(len(getattr(triple, kind).objects))]
        for kind in ("default", "semantic")
    }
    return triple_to_dict(triple) | {"boxes": boxes, "size": list(SIZE), "seed": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of random weights whose backbone "tiny" is known by its features only."""
    base = tmp_path_factory.mktemp("show")
    root, rng = base / "data", np.random.default_rng(0)
    make_pictures(root, rng)
    records = [record(scene) for scene in range(SCENES)]
    (root / "scenes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    splits = split_ids(SCENES, [4, 3, 5], 0)
    write_listings(root, records, splits)
    preprocess(root)
    for split, scenes in splits.items():
        names = [picture(kind, scene) for scene in scenes for kind in KINDS]
        with GridWriter(root / "features_tiny" / split, names, (4, 2, 2), {"backbone": "tiny"}) as writer:
            writer.append(rng.normal(size=(len(names), 4, 2, 2)).astype(np.float32))
            writer.finish()
    config = load_config(write_config(base / "tiny.yaml", root))
    save_config(config, config.run_folder / "config.yaml")
    data = open_split(config, "test")
    snapshot = make_snapshot(config, (4, 2, 2), "tiny", config.run_folder / "snapshots" / "3", data.longest)
    write_best(config.run_folder, {"step": 3, "metric": "CIDEr", "value": 0.5})
    lines = [{"step": step, "loss/caption": 3 / step, "loss/cross_view": None} for step in (1, 2, 3)]
    lines.append(
        {"step": 3, "val/facts.statement": 0.5, "val/facts.change_type": 0.6, "val/facts.no_change": 0.7}
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (config.run_folder / METRICS).write_text(text, encoding="utf-8")
    return Run(root, config.run_folder, snapshot, config)


def make_snapshot(
    config: Config, grid: tuple[int, int, int], backbone: str, folder: Path, max_words: int
) -> Path:
    torch.manual_seed(0)
    vocabulary = Vocabulary.from_json(config.data.path("vocabulary"))
    system_kind = system_class("scorer_cbr")
    small = {"dim": 8, "heads": 2, "word_dim": 8, "encoder_layers": 1, "decoder_layers": 1}
    system = system_kind.build(system_kind.Config(**small), vocabulary, grid, max_words)
    save_snapshot(folder, system, config, SnapshotFacts("scorer_cbr", 3, grid, max_words, backbone, {}))
    return folder


@pytest.fixture
def seeing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot that sees pictures, with the bundled backbone's architecture and random weights."""
    from safetensors.torch import save_file

    torch.manual_seed(1)
    state = rendered.RenderedBackbone().state_dict()
    weights = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    save_file(weights, tmp_path / "backbone.safetensors")
    monkeypatch.setattr(rendered, "WEIGHTS", tmp_path / "backbone.safetensors")
    return make_snapshot(run.config, (384, 7, 7), "rendered", tmp_path / "seeing", 20)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["idc.show", *map(str, arguments)])
    try:
        show.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def files(run: Run, scene: int = 0) -> tuple[Path, Path]:
    return (
        run.root / "images" / picture("default", scene),
        run.root / "sc_images" / picture("semantic", scene),
    )


# -- captions ---------------------------------------------------------------------------------------------


def test_a_captions_words_and_looks_stay_together() -> None:
    """Ids that are no words are left out together with their looks; nothing after END is read."""
    vocabulary = Vocabulary.from_sentences(["red cube"])
    red, cube = (vocabulary.words.index(word) for word in ("red", "cube"))
    looks = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 1, 2, 2), np.float32)
    said = read_out([0, red, 2, cube, 3, red], looks, vocabulary.decode)
    assert said.sentence == "red cube" and said.words == ("red", "cube")
    assert said.attention[:, 0, 0].tolist() == [1, 3]
    assert said.before is None
    silent = read_out([3, 0, 0], looks, vocabulary.decode)
    assert silent.sentence == "" and silent.words == () and silent.look.shape == (2, 2)


def test_a_word_of_several_ids_looks_as_they_do_on_average_and_each_picture_has_its_look() -> None:
    pieces = ["<", "the", " met", "al", "lic", " ball", ">", "never"]

    def sentence(ids: list[int]) -> str:
        return "".join(pieces[number] for number in ids if 0 < number < 6)

    looks = np.arange(7, dtype=np.float32)[:, None, None, None] * np.array([1.0, 10.0])[:, None, None]
    said = read_out([1, 2, 3, 4, 5, 6, 6], looks, sentence)
    assert said.words == ("the", "metallic", "ball") and said.before is not None
    assert said.before.ravel().tolist() == [0, 2, 4] and said.attention.ravel().tolist() == [0, 20, 40]


def test_the_picture_looked_at_most_sharply_says_where_a_caption_points() -> None:
    sharp, dull = np.zeros((1, 2, 2)), np.full((1, 2, 2), 0.1)
    sharp[0, 0, 0] = 1.0
    there, elsewhere, size = (0, 0, 8, 8), (24, 24, 8, 8), (32, 32)
    one = Said("gone", ("gone",), sharp)
    assert one.points_at([elsewhere, there], size) and not one.points_at([None, elsewhere], size)
    before, after = Said("gone", ("gone",), dull, sharp), Said("gone", ("gone",), sharp, dull)
    assert before.points_at([there, None], size) and not before.points_at([elsewhere, there], size)
    assert after.points_at([elsewhere, there], size) and not after.points_at([there, None], size)


def test_telling_words_leave_out_the_small_ones() -> None:
    words = ("the", "red", "cube", "has", "moved")
    said = Said(" ".join(words), words, np.arange(5.0)[:, None, None] * np.ones((5, 1, 1)))
    assert [(word, look.item()) for word, look in said.telling_words()] == [
        ("red", 1),
        ("cube", 2),
        ("moved", 4),
    ]


def test_many_pairs_at_once_say_what_each_says_alone(
    run: Run, seeing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "AT_ONCE", 3)
    captioner = Captioner(seeing)
    pairs = [files(run, scene) for scene in range(5)]
    together = captioner.say(pairs)
    alone = [captioner.say([pair])[0] for pair in pairs]
    assert [said.sentence for said in together] == [said.sentence for said in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)
        assert one.attention.shape == (max(1, len(one.words)), 7, 7)


def test_the_report_captions_what_idc_test_captions(run: Run) -> None:
    """Same features, same sentences, so the same figures."""
    data = open_split(run.config, "test")
    captioner = Captioner(run.snapshot, open_grids(run.config.data.path("grids"), "test"))
    expected = caption_split(captioner.system, data, 2, Search())
    rows = caption_world(captioner, run.root, data.scene_ids)
    said = {f"{row.scene:06d}.png": row.change.sentence for row in rows}
    said |= {f"{row.scene:06d}.png_n": row.no_change.sentence for row in rows}
    assert said == expected


# -- judging ----------------------------------------------------------------------------------------------


def triple_of(before: Object, after: Object | None, type: str) -> Triple:
    other = Object("sphere", "green", "metal", "large", (-2.0, 0.0), 0.0)
    change = Change(type, 0, None if after is None else 0)
    semantic = Scene((other,) if after is None else (after, other))
    return replace(sample_triple(0, 0), default=Scene((before, other)), semantic=semantic, change=change)


CUBE = Object("cube", "red", "rubber", "small", (2.0, 0.0), 0.0)
REMARKS = [
    ("the small red rubber cube turned blue", ""),
    ("the small red rubber cube turned brown", "wrong new color"),
    ("the large red metal cube turned blue", "wrong object: size, material"),
    ("the small red rubber cube has moved", "another kind of change"),
    ("no change was made", "the change was missed"),
    ("cube cube red the", "not a sentence the scene graph can be asked about"),
    ("the object turned blue", "more than one object could be meant"),
]


@pytest.mark.parametrize(("sentence", "expected"), REMARKS)
def test_what_is_wrong_with_a_caption_is_said(sentence: str, expected: str) -> None:
    triple = triple_of(CUBE, replace(CUBE, color="blue"), "color")
    verdict = judge(parse(sentence), triple)
    assert remark(parse(sentence), verdict) == expected
    assert verdict["statement"] == (expected == "")


def test_rows_carry_the_verdicts_of_the_scene_graph(run: Run) -> None:
    """Captions that are put in the captioner's mouth: the reference is true, a sentence of another scene is not."""

    class Prompter(Captioner):
        def __init__(self, sentences: list[str]):
            self.sentences = sentences
            self.facts = SnapshotFacts("scorer_cbr", 3, (4, 2, 2), 24, "tiny", {})

        def say(self, pairs: list[tuple[Path, Path]], search: Search | None = None) -> list[Said]:
            look = np.zeros((1, 2, 2))
            look[0, 0, 0] = 1.0
            return [Said(sentence, tuple(sentence.split()), look) for sentence in self.sentences]

    triples = [sample_triple(3, scene) for scene in (0, 1)]
    still = triples[0].no_change_sentences[0]
    rows = caption_world(
        Prompter([triples[0].sentences[0], still, "no change was made", triples[1].sentences[0]]),
        run.root,
        [0, 1],
    )
    assert [(row.right, row.no_change_right) for row in rows] == [(True, True), (False, False)]
    assert [row.type for row in rows] == [triple.change.type for triple in triples]
    assert rows[0].remark == "" and rows[1].remark == "the change was missed"
    facts = show.facts_of(rows, run.root)
    assert facts is not None and (facts["statement"], facts["no_change"], facts["pairs"]) == (0.5, 0.5, 2)
    looks = show.pointing_scores(run.root, rows, (2, 2))
    assert looks is not None and looks["pairs"] == 2
    assert looks["pointing"] == np.mean([bool(row.looked_right) for row in rows])


def test_what_was_looked_at_stays_bright_and_the_change_is_framed() -> None:
    look = np.zeros((2, 4))
    look[1, 3] = 1.0
    white = Image.new("RGB", (80, 40), "white")
    shown = np.asarray(heat(white, look), dtype=float).mean(-1)
    assert shown[35, 75] > 250 and shown[5, 5] < 80
    framed = np.asarray(heat(white, look, ((0.25, 0.25, 0.25, 0.5),)))
    assert framed[10, 30].tolist() == [255, 255, 255] and framed[9, 30].tolist() == [0, 0, 0]
    assert np.isfinite(np.asarray(heat(white, np.ones((2, 4))))).all()


# -- any two pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_two_pictures_get_a_caption_and_a_drawing(
    run: Run,
    seeing: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    before, after = files(run)
    out = tmp_path / "new" / f"pair.{ending}"
    assert command(monkeypatch, "--before", before, "--after", after, "--snapshot", seeing, "--out", out) == 0
    assert capsys.readouterr().out == caption_pair(before, after, seeing).sentence + "\n"
    assert out.read_bytes()[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[ending]
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_triples_of_a_world_are_printed_and_drawn(
    run: Run,
    seeing: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "sheet.png"
    code = command(monkeypatch, "--world", run.root, "--snapshot", seeing, "--n", 2, "--out", out)
    assert code == 0 and capsys.readouterr().out.count("distractor: ") == 2
    with Image.open(out) as image:
        assert image.width > 1000


def test_drawing_needs_no_display_and_leaves_pyplot_alone(run: Run) -> None:
    """Figures are made without pyplot, so that a notebook's or a thread's state stays as it was."""
    said = Said("", (), np.zeros((1, 2, 2)))
    figure = show.pair_figure(*files(run), said)
    assert len(figure.axes) == 3
    figure = show.pair_figure(*files(run), Said("red cube", ("red", "cube"), np.zeros((2, 2, 2))))
    assert [axis.get_title() for axis in figure.axes[3:]] == ["red", "cube"]
    code = "import idc.show, idc.report, sys; sys.exit('matplotlib' in sys.modules or 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- the page ---------------------------------------------------------------------------------------------

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in its turn. Collects tags with attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def read_page(path: Path) -> Page:
    """A page that is whole, loads nothing and runs nothing."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "http:" not in text and "https:" not in text
    page = Page(text)
    for name in ("script", "link", "iframe", "object"):
        assert page.all(name) == []
    for image in page.all("img"):
        assert (image["src"] or "").startswith("data:image/") and image["alt"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    return page


@pytest.fixture(scope="module")
def page_file(run: Run) -> Path:
    """The report as the command writes it, from another folder, with relative paths of its own."""
    out = run.folder / "report.html"
    result = subprocess.run(
        [sys.executable, "-m", "idc.show", "--run", str(run.folder), "--n", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "") and result.stdout == f"the report is {out}\n"
    return out


def test_the_page_of_a_run_is_self_contained(run: Run, page_file: Path) -> None:
    page = read_page(page_file)
    assert len([a for a in page.all("section") if a.get("class") == "triple"]) == 3
    assert len(page.all("img")) >= 3 * 4 + 1
    assert "after 3 steps" in page.text and "test split" in page.text and "of the distractors" in page.text
    assert "(0 of 5)" in page.text, "random weights tell no truth"
    assert "Training" in page.text and "Agreement" not in page.text


def test_scores_are_shown_if_they_are_about_these_captions(run: Run, tmp_path: Path) -> None:
    captioner = Captioner(run.snapshot, open_grids(run.config.data.path("grids"), "test"))
    rows = caption_world(captioner, run.root, open_split(run.config, "test").scene_ids)
    facts = show.facts_of(rows, run.root)
    assert facts is not None
    folder = tmp_path / "run"
    folder.mkdir()
    for other, expected in ((facts, "0.123"), (facts | {"statement": 0.9}, "another snapshot or split")):
        metrics = {"all": {"BLEU-4": 0.123}, "by_type": {"move": {"BLEU-4": 0.4}}, "facts": other}
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        write_report(tmp_path / "page.html", folder, captioner.facts, rows, "test", count=1, facts=facts)
        page = read_page(tmp_path / "page.html")
        assert expected in page.text and ("0.123" in page.text) == (other is facts)
        assert "Training" not in page.text, "there is no metrics.jsonl here"
    assert not about_others({"all": {}}, facts) and not about_others({"all": {}, "facts": facts}, None)


def test_whatever_is_said_is_text(run: Run, tmp_path: Path) -> None:
    """A caption or a name with markup in it is shown, not interpreted."""
    nasty = '<script>alert("1")</script> & "quotes" \'single\' <img src=x onerror=alert(1)>'
    said = Said(nasty, tuple(nasty.split()), np.zeros((len(nasty.split()), 2, 2)))
    before, after = files(run)
    pictures = {"default": before, "semantic": after, "nonsemantic": after}
    row = TripleCaptions(1, pictures, said, said, nasty, right=False, remark=nasty, type=nasty)
    folder = tmp_path / "<b>run & 'co'"
    folder.mkdir()
    facts = SnapshotFacts("<i>system</i>", 3, (4, 2, 2), 24, "tiny", {})
    write_report(tmp_path / "page.html", folder, facts, [row], "test")
    page = read_page(tmp_path / "page.html")
    assert page.text.count(nasty) >= 3
    assert "<b>run & 'co'" in page.text and "<i>system</i>" in page.text
    assert not page.all("b") and not [a for a in page.all("img") if a.get("src") == "x"]


def test_a_data_set_without_scene_graphs_has_no_verdicts(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "plain"
    copy.mkdir()
    for path in run.root.iterdir():
        if path.name != "scenes.jsonl":
            (copy / path.name).symlink_to(path)
    captioner = Captioner(run.snapshot, open_grids(run.config.data.path("grids"), "test"))
    rows = caption_world(captioner, copy, open_split(run.config, "test").scene_ids)
    assert all(row.right is None and row.type is None and row.boxes == () for row in rows)
    assert show.facts_of(rows, copy) is None and show.pointing_scores(copy, rows, (2, 2)) is None
    write_report(tmp_path / "page.html", run.folder, captioner.facts, rows, "test", count=2)
    page = read_page(tmp_path / "page.html")
    assert "✓" not in page.text and "✗" not in page.text and "%" not in page.text


def test_verdicts_do_not_rest_on_colour_alone(page_file: Path) -> None:
    page = read_page(page_file)
    marks = [a for a in page.all("span") if "mark" in (a.get("class") or "").split()]
    assert len(marks) == page.text.count("✓ ") + page.text.count("✗ ") == 3 * 3


def test_shown_rows_are_spread_evenly() -> None:
    rows: Any = list(range(10))
    assert evenly(rows, 4) == [0, 3, 6, 9] and evenly(rows, 20) == rows and evenly(rows, 1) == [0]


def test_curves_are_drawn_from_what_there_is(tmp_path: Path) -> None:
    assert curves_image(tmp_path) is None
    (tmp_path / METRICS).write_text('{"step": 1, "lr": 0.1}\n', encoding="utf-8")
    assert curves_image(tmp_path) is None
    (tmp_path / METRICS).write_text(
        '{"step": 1, "loss/caption": null}\n{"step": 2, "loss/caption": 0.0}\n{"step": 3, "val/CIDEr": 0.4}\n{"st',
        encoding="utf-8",
    )
    light, dark = curves_image(tmp_path), curves_image(tmp_path, dark=True)
    assert light is not None and dark is not None and light.size == dark.size
    assert np.asarray(light)[0, 0, 3] == 0, "the page's own ground shines through"


@pytest.mark.browser
def test_the_page_in_a_browser(page_file: Path, browser: Any) -> None:
    """Every picture decodes, nothing is requested or logged, narrow screens need no sideways scrolling."""
    for width, scheme in ((1200, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        requested: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request, seen=requested: seen.append(request.url))
        page.on("console", lambda message, seen=complaints: seen.append(message.text))
        page.on("pageerror", lambda error, seen=complaints: seen.append(str(error)))
        page.goto(page_file.as_uri())
        for details in page.locator("summary").all():
            details.click()
        broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).length")
        assert broken == 0 and complaints == []
        assert [url for url in requested if not url.startswith("data:")] == [page_file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) > 380) == (
            scheme == "light"
        )
        page.close()


# -- bad input --------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    """What a command that failed said: one paragraph, nothing else."""
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_run_on_other_data_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("exp_name: other\ndata: {kind: spot_the_diff}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"was trained on spot_the_diff.*--before A --after B"):
        show_run(tmp_path, "best", "test", 2, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--before", "A", "--after", "nowhere.png"], "no picture at nowhere.png"),
        (["--before", "A", "--after", "CUT"], "cannot be read"),
        (["--before", "A"], "--after"),
        (["--before", "A", "--after", "A", "--out", "figure.doc"], "must end in .png"),
        (["--before", "A", "--after", "A", "--out", "figure"], "must end in .png"),
        (["--before", "A", "--after", "A", "--snapshot", "nowhere"], "no snapshot"),
        (["--world", "nowhere"], "render_world.py"),
        (["--run", "nowhere"], "is no run"),
        (["--run", "RUN", "--out", "report.png"], "must end in .html"),
        (["--run", "RUN", "--snapshot", "77"], "no snapshot “77”; choose last, 3"),
        (["--run", "RUN", "--n", "0"], "at least 1"),
    ],
)
def test_bad_input_is_one_paragraph_and_nothing_is_written(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    whole, cut = tmp_path / "a.png", tmp_path / "cut.png"
    for path in (whole, cut):
        path.write_bytes(files(run)[0].read_bytes())
    names = {"A": whole, "CUT": truncated(cut), "RUN": run.folder}
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code = command(monkeypatch, *(names.get(argument, argument) for argument in arguments))
    assert expected in refused(capsys, code)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_arguments_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch) == 2
    assert "--run" in capsys.readouterr().err


@pytest.fixture
def world_copy(run: Run, tmp_path: Path) -> Path:
    """The data set, in which single files can be replaced."""
    root = tmp_path / "copy"
    root.mkdir()
    for path in run.root.iterdir():
        if path.is_dir():
            (root / path.name).symlink_to(path)
        else:
            (root / path.name).write_bytes(path.read_bytes())
    return root


def drop_scene(root: Path) -> str:
    lines = (root / "scenes.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (root / "scenes.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    return "lacks 1 scenes: 000000"


def break_scene(root: Path) -> str:
    lines = (root / "scenes.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (root / "scenes.jsonl").write_text(
        "".join([lines[0], lines[1][:50] + "\n", *lines[2:]]), encoding="utf-8"
    )
    return "line 2 of .* is no scene"


def drop_caption(root: Path) -> str:
    captions = json.loads((root / "change_captions.json").read_text(encoding="utf-8"))
    kept = {name: texts for name, texts in captions.items() if scene_id(name) != 2}
    (root / "change_captions.json").write_text(json.dumps(kept), encoding="utf-8")
    return "no caption for 1 scenes: 000002"


@pytest.mark.parametrize("damage", [drop_scene, break_scene, drop_caption])
def test_damage_to_the_data_set_is_named(
    world_copy: Path, seeing: Path, damage: Callable[[Path], str]
) -> None:
    expected = damage(world_copy)
    with pytest.raises(UserError, match=expected):
        caption_world(Captioner(seeing), world_copy, [0, 1, 2])


def test_features_and_snapshot_must_belong_together(run: Run, seeing: Path, tmp_path: Path) -> None:
    grids = open_grids(run.config.data.path("grids"), "test")
    with pytest.raises(UserError, match=r"\(384, 7, 7\).*\(4, 2, 2\)"):
        Captioner(seeing, grids)
    strange = make_snapshot(run.config, (6, 7, 7), "rendered", tmp_path / "strange", 20)
    with pytest.raises(UserError, match=r"\(6, 7, 7\), but the backbone “rendered” makes \(384, 7, 7\)"):
        Captioner(strange)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"all": 3}', "{}"])
def test_a_broken_metrics_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.json"
    assert read_scores(path) is None
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"metrics\.json is not what `python -m idc\.evaluate"):
        read_scores(path)
