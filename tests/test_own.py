"""Training with pieces of one's own: the same curve with the reference, a refusal of a wrong piece."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.banks import bank, ids
from autograder.checks import exercise
from idc import album
from idc.captioner.search import Search
from idc.config import load_config
from idc.data.clevr_change import ClevrChange
from idc.own import adopt
from idc.pieces import __all__ as PIECES
from idc.pieces.chosen import pieces
from idc.training.loop import build_system, open_split
from idc.training.validate import caption_split
from tests.tiny_world import make_world, write_config

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "solutions"


def run(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=check,
    )


def curve(folder: Path) -> list[dict[str, float]]:
    """The logged figures without those of time."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {
            name: value
            for name, value in json.loads(line).items()
            if "second" not in name and "per_" not in name
        }
        for line in lines
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    root = make_world(folder / "world")
    model = {
        "dim": 8,
        "heads": 2,
        "word_dim": 8,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "kernels": "plain",
    }
    return write_config(folder / "config.yaml", root, model=model)


def test_the_solutions_give_the_librarys_curve_exactly(config: Path) -> None:
    run("idc.train", "--cfg", config, "exp_name=library")
    said = run("idc.train", "--cfg", config, "--pieces", SOLUTIONS, "exp_name=mine").stdout
    runs = config.parent / "runs"
    assert curve(runs / "mine") == curve(runs / "library")
    yours = next(line for line in said.splitlines() if line.startswith("yours:"))
    for name in ("info_nce", "sinusoidal_encoding", "SelfAttention", "CrossViewLayer", "joint_loss"):
        assert name in yours
    assert "times the CPU time" in said
    sources = json.loads((runs / "mine" / "pieces.json").read_text(encoding="utf-8"))
    assert "logsumexp" in sources["info_nce"]


def test_captions_come_from_the_own_pieces_too(config: Path) -> None:
    runs = config.parent / "runs"
    run("idc.train", "--cfg", config, "exp_name=captioner")
    folders = [config.parent / name for name in ("with", "without")]
    run("idc.test", "--run", runs / "captioner", "--pieces", SOLUTIONS, "--out", folders[0])
    run("idc.test", "--run", runs / "captioner", "--out", folders[1])
    for name in ("sc_results.json", "nsc_results.json"):
        assert (folders[0] / name).read_text() == (folders[1] / name).read_text()


WRONG = """
import torch

def info_nce(similarity):
    return torch.nn.functional.cross_entropy(similarity.T, torch.arange(len(similarity)))
"""


def test_a_wrong_piece_is_refused_with_its_checks_words(config: Path, tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text(WRONG, encoding="utf-8")
    done = run("idc.train", "--cfg", config, "--pieces", tmp_path, "exp_name=refused", check=False)
    assert done.returncode == 2
    assert "wrong axis" in done.stderr and "losses.py" in done.stderr
    assert not (config.parent / "runs" / "refused").exists()
    forced = run("idc.train", "--cfg", config, "--pieces", tmp_path, "--unchecked", "exp_name=forced")
    assert "unchecked: ps1.1" in forced.stdout
    assert (config.parent / "runs" / "forced" / "best.json").is_file()


def test_a_folder_of_stubs_is_refused(config: Path) -> None:
    done = run("idc.train", "--cfg", config, "--pieces", ROOT / "assignments", "exp_name=stubs", check=False)
    assert done.returncode == 2
    assert "beyond its stub" in done.stderr


def test_a_run_is_not_resumed_with_other_pieces(config: Path, tmp_path: Path) -> None:
    shutil.copytree(SOLUTIONS / "ps1_infonce", tmp_path / "ps1_infonce")
    run("idc.train", "--cfg", config, "--pieces", tmp_path, "exp_name=begun", "train.steps=3")
    done = run("idc.train", "--cfg", config, "--resume", "exp_name=begun", check=False)
    assert done.returncode == 2
    assert "info_nce" in done.stderr
    run("idc.train", "--cfg", config, "--pieces", tmp_path, "--resume", "exp_name=begun", "train.steps=3")


def test_two_pictures_are_described_through_the_own_pieces(tmp_path: Path) -> None:
    files = album.files(40)
    words = ("idc.show", "--before", files["default"], "--after", files["semantic"])
    librarys = run(*words).stdout
    said = run(*words, "--pieces", SOLUTIONS).stdout
    assert said.endswith(librarys)
    assert "CrossAttention" in said.splitlines()[0]
    (tmp_path / "losses.py").write_text(WRONG, encoding="utf-8")
    refused = run(*words, "--pieces", tmp_path, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "wrong axis" in refused.stderr


HONEST = [
    pytest.param(exercise(id).piece, piece, id=f"{id}-{name}")
    for id in ids()
    for name, piece in bank(id).honest.items()
    if exercise(id).piece in PIECES
]


@pytest.mark.parametrize(("name", "piece"), HONEST)
def test_what_its_check_calls_right_trains_and_speaks(config: Path, name: str, piece: Any) -> None:
    settings = load_config(config)
    data = open_split(settings, "train")
    batch = ClevrChange.collate([data[number] for number in range(4)])
    pieces.adopt({name: piece})
    try:
        system = build_system(settings, data).train()
        losses = system.losses(batch)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        captions = caption_split(system.eval(), data, 4, Search("beam", beams=2), "cpu")
    finally:
        pieces.release()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert len(captions) == 2 * len(data)


INSIDE = """
from idc.pieces import MultiHeadAttention, SelfAttention
import torch

def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)

def info_nce(similarity):
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()
"""


def test_a_piece_that_nothing_will_call_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inside.py").write_text(INSIDE, encoding="utf-8")
    try:
        assert adopt(tmp_path).keys() == {"split_heads", "info_nce"}
    finally:
        pieces.release()
    assert "note: split_heads will not be used" in capsys.readouterr().out


BLIND = """
from idc.pieces import CrossAttention as Librarys

class CrossAttention(Librarys):
    def forward(self, x, memory, mask=None):
        return super().forward(x, memory, mask)[0], None
"""


def test_attention_that_does_not_say_where_it_looked_is_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "blind.py").write_text(BLIND, encoding="utf-8")
    words = ("--cfg", config, "--pieces", tmp_path, "--unchecked", "exp_name=blind")
    done = run("idc.train", *words, check=False)
    assert done.returncode == 2
    assert "error: CrossAttention gives back no weights" in done.stderr
