"""Reading a student's pieces: what is executed, what is passed over, and which definition counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from autograder.checks.exercise import Status
from autograder.submission import judge_own, read_own
from idc.errors import UserError

GOOD = """
def info_nce(similarity):
    return torch.nn.functional.cross_entropy(similarity, torch.arange(len(similarity)))
"""


def notebook(path: Path, *cells: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "id": f"c{n}",
                "cell_type": "code",
                "metadata": {},
                "outputs": [],
                "source": cell.splitlines(True),
            }
            for n, cell in enumerate(cells)
        ],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_definitions_are_executed_and_nothing_else(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    touch = f"open({str(trace)!r}, 'w').close()"
    notebook(
        tmp_path / "ps1_infonce" / "ps1_infonce.ipynb",
        "%matplotlib inline\nimport torch\nif True:\n    %pip install nothing",
        "!touch nothing",
        "%%bash\nrm -rf nothing",
        touch,
        f"for _ in range(1):\n    {touch}",
        f"TEMPERATURE = 0.5\nloud = {touch}",
        f"def slider(f):\n    {touch}\n    return f\n\n@slider\ndef moved(x):\n    return x",
        GOOD,
    )
    own = read_own(tmp_path)
    assert not trace.exists()
    assert own.notes == []
    assert judge_own(own)["info_nce"].status is Status.RIGHT
    assert own.where["info_nce"].where.endswith("ps1_infonce.ipynb, cell 8")


def test_what_cannot_be_read_is_told_and_the_rest_counts(tmp_path: Path) -> None:
    piece = GOOD.replace("    return", "    if similarity is None:\n        no_such_module.log()\n    return")
    notebook(tmp_path / "work.ipynb", "import torch", "def broken(:\n    pass", "import no_such_module", piece)
    own = read_own(tmp_path)
    assert "info_nce" in own.pieces
    assert "cell 2 is no Python" in own.notes[0]
    assert "no_such_module" in own.notes[1]


def test_the_problem_sets_own_notebook_counts(tmp_path: Path) -> None:
    wrong = "def info_nce(similarity):\n    return similarity.sum()"
    notebook(tmp_path / "ps1_infonce" / "a.ipynb", "import torch", GOOD)
    notebook(tmp_path / "ps4_scorer" / "b.ipynb", wrong)
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT


def test_files_may_import_each_other(tmp_path: Path) -> None:
    (tmp_path / "b_math.py").write_text("import torch\n\n\ndef lse(x):\n    return torch.logsumexp(x, 1)\n")
    (tmp_path / "a_loss.py").write_text(
        "from models.b_math import lse as row\n\n\ndef info_nce(similarity):\n"
        "    return (row(similarity) - similarity.diagonal()).mean()\n"
    )
    own = read_own(tmp_path)
    assert own.notes == []
    assert judge_own(own)["info_nce"].status is Status.RIGHT


def test_an_unwritten_piece_is_replaced_for_those_that_need_it(tmp_path: Path) -> None:
    notebook(
        tmp_path / "ps1_infonce" / "a.ipynb",
        "def info_nce(similarity):\n    raise NotImplementedError",
        'info_nce = mine("info_nce", info_nce)',
        "def info_nce_gradient(similarity):\n    import torch\n"
        "    leaf = similarity.detach().clone().requires_grad_()\n"
        "    return torch.autograd.grad(info_nce(leaf), leaf)[0]",
    )
    verdicts = judge_own(read_own(tmp_path))
    assert verdicts["info_nce"].status is Status.NOT_ATTEMPTED
    assert verdicts["info_nce_gradient"].status is Status.RIGHT


def test_a_mistake_is_reported_with_the_students_line(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb", "def info_nce(similarity):\n    return similarity.mean(dim=7)")
    verdict = judge_own(read_own(tmp_path))["info_nce"]
    assert verdict.status is Status.WRONG
    assert "similarity.mean(dim=7)" in verdict.message


def test_the_line_is_the_students_even_if_the_library_stopped(tmp_path: Path) -> None:
    source = "from idc.pieces.attention import join_heads\n\n\ndef info_nce(similarity):\n    return join_heads(3)\n"
    (tmp_path / "a.py").write_text(source)
    assert "`return join_heads(3)`" in judge_own(read_own(tmp_path))["info_nce"].message


@pytest.mark.parametrize("content", ["", "{}", '{"cells": [3]}'])
def test_a_broken_notebook_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "broken.ipynb").write_text(content)
    with pytest.raises(UserError, match=r"broken\.ipynb"):
        read_own(tmp_path)


def test_a_folder_without_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no notebooks"):
        read_own(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        read_own(tmp_path / "missing")


def test_checkpoints_are_not_read(tmp_path: Path) -> None:
    notebook(tmp_path / ".ipynb_checkpoints" / "a.ipynb", "import torch", GOOD)
    notebook(tmp_path / "a.ipynb", "x = 1")
    assert read_own(tmp_path).pieces == {}


def test_student_output_and_seeds_stay_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noisy = "import sys, warnings, torch\n\n\ndef info_nce(s):\n    print('hello')\n    print('oh', file=sys.stderr)\n"
    noisy += "    warnings.warn('careful')\n    torch.manual_seed(0)\n    return (s.logsumexp(1) - s.diag()).mean()\n"
    (tmp_path / "noisy.py").write_text(noisy)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT
    assert torch.equal(torch.rand(3), expected)
    assert capsys.readouterr() == ("", "")


IMPORTS = "import functools\nimport math\nimport torch\nfrom torch import nn\n"
BODY = "(s.logsumexp(1) - s.diagonal()).mean()"
PIECE = f"def info_nce(s):\n    return {BODY}\n"


@pytest.mark.parametrize(
    "source",
    [
        f"info_nce = lambda s: {BODY}",
        "def loss(s, k):\n    return (s.logsumexp(k) - s.diagonal()).mean()\n\ninfo_nce = functools.partial(loss, k=1)",
        f"def loss(s):\n    return {BODY}\n\ninfo_nce = loss",
        f"class Loss(nn.Module):\n    def forward(self, s):\n        return {BODY}\n\ninfo_nce = Loss()",
        f"if True:\n    {PIECE.replace(chr(10), chr(10) + '    ')}",
        f"try:\n    import no_such_module\nexcept ImportError:\n    info_nce = lambda s: {BODY}",
        "row = lambda s: s.logsumexp(1)\ndef info_nce(s):\n    return (row(s) - s.diagonal()).mean()",
        f"@functools.cache\ndef one():\n    return 1\n{PIECE.replace('mean()', 'mean() * one()')}",
        f"ONE = math.log(math.e)\nTWO = 2 * ONE\n{PIECE.replace('mean()', 'mean() * TWO / 2')}",
        "soft = nn.LogSoftmax(dim=1)\ndef info_nce(s):\n    return -soft(s).diagonal().mean()",
        f"torch.logsumexp?\nfiles = !ls\nhere = %pwd\n{PIECE}",
        f"%%time\n{PIECE}",
        f"%%capture out\n{PIECE}",
        f"await something()\n{PIECE}",
        f"def info_nce(s):\n    return s.sum()\n\n{PIECE}",
        f"from dataclasses import dataclass\n@dataclass\nclass Settings:\n    power: float = 1.0\n"
        f"{PIECE.replace('mean()', 'mean() ** Settings().power')}",
        f"print('loud')\nclass Loud:\n    print('louder')\n{PIECE}",
        f"class Rude:\n    raise SystemExit\n{PIECE}",
        PIECE.replace("\n", "\r\n"),
        "\ufeff" + PIECE,
    ],
)
def test_ways_to_write_a_piece(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(tmp_path / "ps1_infonce" / "work.ipynb", IMPORTS, source)
    verdict = judge_own(read_own(tmp_path))["info_nce"]
    assert verdict.status is Status.RIGHT, verdict.message
    assert capsys.readouterr() == ("", "")


def test_what_no_piece_needs_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    touch = f"open({str(trace)!r}, 'w').close()"
    source = f"def info_nce(s):\n    data = {BODY}\n    return data\n\n\ndata = {touch}\nif True:\n    other = {touch}\n"
    notebook(tmp_path / "work.ipynb", IMPORTS, source)
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT
    assert not trace.exists()


@pytest.mark.parametrize("first", ["ps1_infonce/a.py", "other/a.py"])
def test_the_last_definition_of_a_file_counts(tmp_path: Path, first: str) -> None:
    file = tmp_path / first
    file.parent.mkdir()
    file.write_text(f"{IMPORTS}{PIECE}\n\ndef info_nce(s):\n    return s.sum()\n")
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.WRONG


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_python_files_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.py").write_text(f"# -*- coding: {encoding} -*-\n# é\n{IMPORTS}{PIECE}", encoding=encoding)
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT


def test_a_notebook_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = notebook(tmp_path / "a.ipynb", IMPORTS, PIECE)
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT


@pytest.mark.parametrize("source", ["x = " + "-" * 100_000 + "1", "x = '\0'"])
def test_what_python_cannot_parse_is_passed_over(tmp_path: Path, source: str) -> None:
    notebook(tmp_path / "a.ipynb", IMPORTS, source, PIECE)
    own = read_own(tmp_path)
    assert "cell 2 is no Python" in own.notes[0]
    assert judge_own(own)["info_nce"].status is Status.RIGHT


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("import helpers", "helpers.one()"),
        ("import models.helpers as h", "h.one()"),
        ("from helpers import *", "one()"),
        ("from .helpers import one as uno", "uno()"),
    ],
)
def test_ways_to_import_a_neighbour(tmp_path: Path, line: str, call: str) -> None:
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helpers.py").write_text(f"def one():\n    return {value}\n")
    source = IMPORTS + line + "\n" + PIECE.replace("mean()", f"mean() * {call}")
    (tmp_path / "a" / "loss.py").write_text(source)
    own = read_own(tmp_path)
    assert own.notes == []
    assert judge_own(own)["info_nce"].status is Status.RIGHT


def test_a_file_named_like_a_library_does_not_hide_it(tmp_path: Path) -> None:
    for name in ("torch", "functional"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    source = "from torch import logsumexp\nfrom torch.nn.functional import relu\nimport torch\n"
    (tmp_path / "a.py").write_text(source + PIECE)
    own = read_own(tmp_path)
    assert own.notes == []
    assert judge_own(own)["info_nce"].status is Status.RIGHT


def test_files_that_import_each_other_in_a_circle(tmp_path: Path) -> None:
    piece = PIECE.replace("mean()", "mean() * one()")
    (tmp_path / "a.py").write_text(f"{IMPORTS}from b import one\n\n\ndef half():\n    return 0.5\n\n\n{piece}")
    (tmp_path / "b.py").write_text("from a import half, info_nce\n\n\ndef one():\n    return 2 * half()\n")
    own = read_own(tmp_path)
    assert own.notes == []
    assert judge_own(own)["info_nce"].status is Status.RIGHT


def test_what_a_neighbour_lacks_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{IMPORTS}from b import one\n{PIECE.replace('mean()', 'mean() * one()')}")
    (tmp_path / "b.py").write_text("two = 2\n")
    assert "a.py, line 5: ImportError: b.py defines no “one”" in read_own(tmp_path).notes[0]


def test_a_deep_expression_is_passed_over(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb", IMPORTS, "x = " + "-" * 3000 + "1", PIECE)
    assert judge_own(read_own(tmp_path))["info_nce"].status is Status.RIGHT


def test_a_stand_in_is_nobodys_own(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb", "import autograder", 'info_nce = mine("info_nce")')
    notebook(tmp_path / "b.ipynb", "import autograder", 'info_nce = autograder.mine("info_nce")')
    assert read_own(tmp_path).pieces == {}
