"""A hand-in in the form of the published project's files trains like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autograder.bridges.published import any_device
from autograder.checks.exercise import Status
from autograder.submission import judge_own, read_own
from tests.tiny_world import make_world, write_config

ROOT = Path(__file__).parents[3]
LOSS = """
import torch
from torch import nn


class CrossEn(nn.Module):
    def forward(self, sim_matrix):
        return nn.functional.cross_entropy(sim_matrix, torch.arange(len(sim_matrix)).cuda())
"""
ATTENTION = """
import math

import torch
from torch import nn


class PositionEncoding(nn.Module):
    def __init__(self, n_filters=128, max_len=500):
        super().__init__()
        angle = torch.arange(max_len)[:, None] / 10000 ** (torch.arange(0, n_filters, 2) / n_filters)
        table = torch.zeros(max_len, n_filters)
        table[:, ::2], table[:, 1::2] = angle.sin(), angle.cos()
        self.register_buffer("pe", table)


class Core(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.parts = part.att_head
        self.query, self.key, self.value = (nn.Linear(part.att_dim, part.att_dim) for _ in range(3))
        self.dropout = nn.Dropout(0.1)

    def cut(self, x):
        return x.view(*x.shape[:2], self.parts, -1).permute(0, 2, 1, 3)

    def look(self, query_states, key_states, value_states, attention_mask):
        q, k, v = self.cut(self.query(query_states)), self.cut(self.key(key_states)), self.cut(self.value(value_states))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        if attention_mask is not None:
            scores = scores + (1 - attention_mask[:, None]) * -10000.0
        mixed = self.dropout(scores.softmax(-1)) @ v
        return mixed.permute(0, 2, 1, 3).flatten(2), scores.mean(1)


class SelfAttention(Core):
    def __init__(self, cfg):
        super().__init__(cfg.model.transformer_decoder)

    def forward(self, query_states, key_states, value_states, attention_mask=None):
        return self.look(query_states, key_states, value_states, attention_mask)[0]


class CrossAttention(Core):
    def __init__(self, cfg):
        super().__init__(cfg.model.transformer_decoder)

    def forward(self, query_states, key_states, value_states, attention_mask=None):
        return self.look(query_states, key_states, value_states, attention_mask)
"""
SCORER = """
import torch
from torch import nn

from models.transformer_decoder import Core


class Attention(Core):
    def __init__(self, cfg):
        super().__init__(cfg.model.transformer_encoder)
        self.layer_norm = nn.LayerNorm(cfg.model.transformer_encoder.att_dim, eps=1e-6)
        self.logit_scale = nn.Parameter(torch.ones([]))

    def forward(self, query_states, key_states, value_states):
        tokens = torch.ones(query_states.shape[:2]).cuda().sum(-1)
        fit = torch.einsum("aid,bjd->abij", self.query(query_states), self.key(key_states))
        fit = (fit.amax(3).sum(2) / tokens[:, None] + fit.amax(2).sum(2) / tokens[None]) / 2
        mixed, seen = self.look(query_states, key_states, value_states, None)
        return self.layer_norm(mixed + query_states), self.logit_scale.exp() * fit, seen
"""


@pytest.fixture
def hand_in(tmp_path: Path) -> Path:
    """The four files, the last one being the script that trains, which is not run."""
    folder = tmp_path / "handin"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "CBR.py").write_text(LOSS)
    (folder / "models" / "transformer_decoder.py").write_text(ATTENTION)
    (folder / "models" / "SCORER.py").write_text(SCORER)
    (folder / "train.py").write_text("raise SystemExit('never run')\n")
    return folder


def test_every_piece_of_the_four_files_is_judged(hand_in: Path) -> None:
    own = read_own(hand_in)
    assert own.notes == []
    verdicts = judge_own(own)
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(
        ("info_nce", "sinusoidal_encoding", "SelfAttention", "CrossAttention", "CrossViewLayer"), Status.RIGHT
    )


def test_a_mistake_in_a_published_class_is_named(hand_in: Path) -> None:
    file = hand_in / "models" / "transformer_decoder.py"
    file.write_text(ATTENTION.replace(" / math.sqrt(q.shape[-1])", ""))
    verdict = judge_own(read_own(hand_in))["SelfAttention"]
    assert verdict.status is Status.WRONG


def test_it_trains(hand_in: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", make_world(tmp_path / "world"))
    done = subprocess.run(
        [sys.executable, "-m", "idc.train", "--cfg", config, "--pieces", hand_in],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CrossViewLayer (ps4.3)" in done.stdout


def test_the_way_to_the_gpu_is_restored() -> None:
    before = torch.Tensor.cuda
    with any_device():
        if not torch.cuda.is_available():
            assert torch.zeros(1).cuda().device.type == "cpu"
    assert torch.Tensor.cuda is before
