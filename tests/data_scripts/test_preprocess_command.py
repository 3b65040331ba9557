"""The command that makes vocabulary, labels and references."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from idc.data.clevr_change import read_labels
from idc.data.vocabulary import Vocabulary

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "preprocess_captions.py"
World = Callable[..., Path]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_makes_the_three_files(small_world: World) -> None:
    root = small_world()
    result = run("--root", root)
    assert result.returncode == 0, result.stderr
    assert "60 captions, the longest of 12 tokens with START and END" in result.stdout
    assert "became <UNK>, such as “cyan”" in result.stdout
    vocabulary = Vocabulary.from_json(root / "transformer_vocab.json")
    labels = read_labels(root / "transformer_labels.hdf5")
    assert vocabulary.decode(labels["rev_"].labels[0].tolist()) == "the red cube is gone"
    references = json.loads((root / "total_change_captions_reformat.json").read_text(encoding="utf-8"))
    assert len(references["images"]) == 20


def test_long_captions(small_world: World) -> None:
    root = small_world()
    refused = run("--root", root, "--max-length", "10")
    assert refused.returncode == 2 and not refused.stdout
    assert refused.stderr.startswith("error: a caption of scene 000000 in change_captions.json has 12 tokens")
    assert "Traceback" not in refused.stderr
    cut = run("--root", root, "--max-length", "10", "--cut")
    assert cut.returncode == 0 and "10 captions were cut to 10 tokens" in cut.stdout


def test_no_such_folder(tmp_path: Path) -> None:
    result = run("--root", tmp_path / "nowhere")
    assert result.returncode == 2 and "change_captions.json is missing" in result.stderr
    assert "render_world.py" in result.stderr and len(result.stderr.strip().splitlines()) == 1
