"""Reading a student's pieces: what is executed, what is passed over, and which definition counts."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.cells import Statement
from autograder.checks import SETS, exercises
from autograder.checks.exercise import Status
from autograder.submission import (
    MOST_CODE,
    MOST_NOTES,
    Own,
    Sources,
    arguments,
    first_line,
    judge_own,
    read_own,
    stubs,
)
from idc.errors import UserError
from tests.autograder.course import ROOT

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
    notebook(
        tmp_path / "work.ipynb", "import torch", "def broken(:\n    pass", "import no_such_module", piece
    )
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
        ("from . import helpers", "helpers.one()"),
        ("from a import helpers as h", "h.one()"),
        ("from math import *\nfrom helpers import *\nlog = one", "log()"),
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


def test_a_package_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("from .more import one\n")
    (tmp_path / "lib" / "more.py").write_text("def one():\n    return 1\n")
    (tmp_path / "loss.py").write_text(
        f"{IMPORTS}import lib\nfrom lib import one\n{times('one() * lib.one()')}"
    )
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
    (tmp_path / "a.py").write_text(
        f"{IMPORTS}from b import one\n\n\ndef half():\n    return 0.5\n\n\n{piece}"
    )
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


# Sources: files by name, parsed at once and executed as far as somebody asks.


def cell(source: str, id: str = "", kind: str = "code") -> dict[str, Any]:
    metadata = {"nbgrader": {"grade_id": id}} if id else {}
    return {"cell_type": kind, "metadata": metadata, "source": source}


def saved(*cells: str | dict[str, Any]) -> bytes:
    """A notebook as it is saved."""
    whole = [cell(each) if isinstance(each, str) else each for each in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": whole}).encode()


def take(name: str, own: Any) -> Any:
    """`mine` that takes whatever the student wrote."""
    return own


HOME = "ps1_infonce/ps1_infonce.ipynb"
WORDS = "The contrastive loss of a similarity matrix, in nats."
STUB = f'def info_nce(similarity):\n    """{WORDS}"""\n    raise NotImplementedError\n'


def loss_of(own: Own) -> float:
    """What the student's info_nce makes of a matrix of zeros: the logarithm of 4 if it is right."""
    return float(own.pieces["info_nce"](torch.zeros(4, 4)))


RIGHT = math.log(4)


def test_other_sets_and_what_nobody_needs_are_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    touch = f"open({str(trace)!r}, 'w').close()"
    files = {
        HOME: saved(
            f"import torch\nimport loud\nclass Loud:\n    {touch}\nloud_value = {touch}\n{PIECE}",
            f"info_nce_gradient = {touch}",
        ),
        "ps2_positions/ps2_positions.ipynb": saved(
            f"class Loud:\n    {touch}\n\n@{touch}\ndef grid_encoding(column, row):\n    pass"
        ),
        "loud.py": f"{touch}\n".encode(),
    }
    sources = Sources(files)
    assert loss_of(sources.execute(["info_nce"])) == pytest.approx(RIGHT)
    assert not trace.exists()
    sources.execute(["info_nce_gradient"])
    assert trace.exists()


def test_pieces_come_from_where_they_are() -> None:
    files = {
        HOME: saved("import torch", PIECE),
        "ps4_scorer/ps4_scorer.ipynb": saved("def token_matching(query, key):\n    return 1"),
        "notes.txt": b"def attention(): pass",
    }
    sources = Sources(files)
    assert sources.where == {
        "info_nce": f"{HOME}, cell 2",
        "token_matching": "ps4_scorer/ps4_scorer.ipynb, cell 1",
    }
    own = sources.execute(["token_matching", "info_nce", "attention"])
    assert list(own.pieces) == ["token_matching", "info_nce"]
    assert own.where["info_nce"].source == PIECE


@pytest.mark.parametrize(
    "bring",
    [
        "",
        STUB,
        PIECE,
        "from idc.pieces import info_nce",
        'info_nce = mine("info_nce")',
        f'{PIECE}info_nce = mine("info_nce", info_nce)',
        "from helpers import info_nce",
        "from helpers import *",
        "info_nce = autograder.mine('info_nce')",
    ],
)
def test_what_is_given_stands_everywhere(bring: str) -> None:
    user = (
        "default = info_nce\ndef info_nce_gradient(s, loss=info_nce):\n    return [info_nce, loss, default]"
    )
    files = {HOME: saved("import torch, autograder", bring, user), "helpers.py": PIECE.encode()}

    def lent(similarity: torch.Tensor) -> torch.Tensor:
        return similarity

    own = Sources(files).execute(["info_nce_gradient", "info_nce"], given={"info_nce": lent}, mine=take)
    assert own.pieces["info_nce_gradient"](None) == [lent] * 3
    assert list(own.pieces) == ["info_nce_gradient"]


def test_a_given_class_can_be_built_on() -> None:
    class Lent(torch.nn.Module):
        pass

    files = {"ps3_attention/a.ipynb": saved("class SelfAttention(MultiHeadAttention):\n    pass")}
    own = Sources(files).execute(["SelfAttention"], given={"MultiHeadAttention": Lent})
    assert issubclass(own.pieces["SelfAttention"], Lent)


def test_what_mine_gives_is_for_others_to_say() -> None:
    asked = []

    def policy(name: str, own: Any) -> Any:
        asked.append((name, own))
        return f"instead of {name}"

    files = {
        HOME: saved("import torch", PIECE),
        "ps5_cbr/ps5_cbr.ipynb": saved(
            'info_nce = mine("info_nce")\nattention = mine("attention")',
            "def joint_loss(parts, weights):\n    return info_nce, attention",
        ),
    }
    own = Sources(files).execute(["joint_loss"], mine=policy)
    assert own.pieces["joint_loss"](1, 2) == ("instead of info_nce", "instead of attention")
    assert [name for name, _ in sorted(asked, key=str)] == ["attention", "info_nce"]
    assert dict(asked)["attention"] is None
    assert float(dict(asked)["info_nce"](torch.zeros(4, 4))) == pytest.approx(RIGHT)


def test_every_execution_begins_anew() -> None:
    source = "count = [0]\ndef tick():\n    count[0] += 1\n    return count[0]\n" + times("tick()")
    sources = Sources({HOME: saved("import torch", source)})
    for _ in range(2):
        own = sources.execute(["info_nce"])
        assert [loss_of(own) for _ in range(2)] == pytest.approx([RIGHT, 2 * RIGHT])


WRONG = "def info_nce(s):\n    return s.sum() + 7\n"


def named(name: str) -> str:
    return PIECE.replace("info_nce", name)


def times(value: str) -> str:
    """The piece, times something that is 1."""
    return PIECE.replace("mean()", f"mean() * {value}")


NAMED_BY_ITS_WORDS = STUB.replace("info_nce", "loss").replace(
    "raise NotImplementedError", f"s = similarity\n    return {BODY}"
)
NAMED_BY_ITS_ARGUMENT = f"def info_nce_loss(similarity):\n    s = similarity\n    return {BODY}"
AS_A_CLASS = f"class InfoNCE(torch.nn.Module):\n    def forward(self, s):\n        return {BODY}"
MAKER = "def make():\n    return ONE"
NO_CODE = "`info_nce` stands in {home}, cell 2, which is no code cell; it counts all the same."
NOT_ITS_OWN = "`info_nce` was found in {home}, cell 3, not in its own cell; it counts."
TWICE = "`info_nce` is also written in {home}, cell 2; what counts is {home}, cell 3."
STUB_AFTER = "`info_nce` stands once more, unwritten, in {home}, cell 3; that was passed over."
DAMAGED = "{home}, cell 2 is no Python (line 1: invalid syntax); what else stands in it was read."


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([cell(PIECE, "ps1-1")], []),
        ([cell(PIECE)], []),
        ([cell(WRONG, "ps1-1"), cell(PIECE, "ps1-1")], [TWICE]),
        ([cell(PIECE, "ps1-1"), cell(STUB, "ps1-1")], [STUB_AFTER]),
        ([cell(STUB, "ps1-1"), cell(PIECE)], [NOT_ITS_OWN]),
        ([cell(PIECE, "ps1-1", "markdown")], [NO_CODE]),
        ([cell(f"```python\n{PIECE}```", "ps1-1", "raw")], [NO_CODE]),
        ([cell(STUB, "ps1-1"), cell(PIECE, "", "raw")], ["{home}, cell 3, which is no code cell"]),
        ([cell(PIECE, "ps1-1"), cell(WRONG, "", "raw")], []),
        (
            [cell(named("infonce"), "ps1-1")],
            ["`infonce` in {home}, cell 2 counts as `info_nce`; give it this name."],
        ),
        ([cell(named("whatever"), "ps1-1")], ["`whatever` in {home}, cell 2 counts as `info_nce`"]),
        ([cell(STUB, "ps1-1"), cell(named("InfoNCE2"))], ["`InfoNCE2` in {home}, cell 3 counts"]),
        ([cell(STUB), cell(named("info_NCE"))], ["`info_NCE` in {home}, cell 3 counts"]),
        ([cell(STUB), cell(NAMED_BY_ITS_ARGUMENT)], ["`info_nce_loss` in {home}, cell 3 counts"]),
        (
            [cell("def helper(s):\n    return s\n" + named("my_info_nce_v2"), "ps1-1")],
            ["`my_info_nce_v2` in"],
        ),
        ([cell(STUB, "ps1-1"), cell(NAMED_BY_ITS_WORDS)], ["`loss` in {home}, cell 3 counts"]),
        ([cell(AS_A_CLASS, "ps1-1")], ["`InfoNCE` in {home}, cell 2 counts"]),
        (
            ["def info_nce(s):\n    x = s.logsumexp(1)", "    return (x - s.diag()).mean()"],
            ["cells 2 and 3 belong"],
        ),
        (["    x = 1\n", PIECE], []),
        ([f"def broken(:\n    pass\n\n{PIECE}"], [DAMAGED]),
        ([f"<<<<<<< HEAD\n{PIECE}=======\n{WRONG}>>>>>>> theirs\n"], []),
        (["if __name__ == '__main__':\n    " + PIECE.replace("\n", "\n    ")], []),
        (["%%time\n" + PIECE], []),
        ([PIECE + "\ninfo_nce = torch.no_grad()(info_nce)"], []),
        (["ONCE = make()\n" + times("ONCE"), MAKER, "ONE = 1"], []),
        (["table = {}\n" + times("table['one']"), "table['one'] = 1"], []),
        (["rows = []\nfor i in range(3):\n    rows.append(i)\n" + times("rows[1]")], []),
        (["with torch.no_grad():\n    one = torch.ones(())\n" + times("one")], []),
        (["match 1:\n    case 1:\n        one = 1\n" + times("one")], []),
        (["if (one := 1):\n    pass\n" + times("one")], []),
        ([f'def 损失(s):\n    "对比损失"\n    return {BODY}\n\ninfo_nce = 损失'], []),
        (["%%writefile lib.py\nimport torch\n" + named("loss"), "from lib import loss as info_nce"], []),
        ([PIECE.replace("return", "display(s)\n    return")], []),
    ],
)
def test_a_piece_is_found_and_the_student_is_told(cells: list[Any], told: list[str]) -> None:
    sources = Sources({HOME: saved("import torch", *cells)})
    own = sources.execute(["info_nce"], mine=take)
    assert loss_of(own) == pytest.approx(RIGHT)
    notes = [*sources.notes, *own.notes]
    assert len(notes) == len(told), notes
    for note, part in zip(notes, told, strict=True):
        assert part.format(home=HOME) in note


@pytest.mark.parametrize(
    "cells",
    [
        [cell(STUB, "ps1-1")],
        [cell("def helper(s):\n    return s\n\n" + STUB, "ps1-1")],
        [cell(STUB, "ps1-1"), cell("def temperature_loss(s, t):\n    return s / t")],
        [cell(STUB, "ps1-1"), cell("def nce(a, b):\n    return a")],
        [cell(STUB, "ps1-1"), cell("class InfoNCEDataset:\n    def __len__(self):\n        return 1")],
        [cell(STUB, "ps1-1"), cell("def info_nce_gradient(similarity):\n    return similarity")],
        [cell(STUB, "ps1-1"), cell("for info_nce in range(3):\n    pass")],
        [cell(STUB, "ps1-1"), cell("# def info_nce(s):\n#     return s", "", "markdown")],
    ],
)
def test_what_is_not_written_is_not_found(cells: list[dict[str, Any]]) -> None:
    sources = Sources({HOME: saved("import torch", *cells)})
    assert sources.where["info_nce"].startswith(HOME)
    with pytest.raises(NotImplementedError):
        loss_of(sources.execute(["info_nce"], mine=take))


def test_a_piece_in_another_sets_notebook() -> None:
    other = "ps2_positions/ps2_positions.ipynb"
    files = {HOME: saved("import torch\ndef half(x):\n    return x / 2", cell(STUB, "ps1-1"))}
    files[other] = saved("x = 1", cell(PIECE.replace("mean()", "mean() + 0 * half(torch.ones(()))")))
    sources = Sources(files)
    own = sources.execute(["info_nce"], mine=take)
    assert loss_of(own) == pytest.approx(RIGHT)
    assert sources.notes == [f"`info_nce` was found in {other}, cell 2, not in its own cell; it counts."]
    assert sorted(own.notes) == [
        f"`half`, which {other} uses, was taken from {HOME}.",
        f"`torch` is not imported in {other}; it is what it is in the notebooks.",
    ]


def test_those_who_build_on_a_moved_piece_find_it() -> None:
    files = {
        "ps1_infonce/ps1_infonce.ipynb": saved(
            "import torch",
            cell(STUB, "ps1-1"),
            'info_nce = mine("info_nce", info_nce)',
            "def info_nce_gradient(s):\n    return info_nce(s)",
        ),
        "ps2_positions/ps2_positions.ipynb": saved(PIECE),
    }
    own = Sources(files).execute(["info_nce_gradient"], mine=take)
    assert float(own.pieces["info_nce_gradient"](torch.zeros(4, 4))) == pytest.approx(RIGHT)


def test_those_who_build_on_a_renamed_piece_find_it() -> None:
    cells = [
        cell(STUB),
        cell(PIECE.replace("info_nce", "InfoNCE2"), "ps1-1"),
        'info_nce = mine("info_nce", info_nce)',
    ]
    cells.append("def info_nce_gradient(s):\n    return info_nce(s) + InfoNCE2(s)")
    own = Sources({HOME: saved("import torch", *cells)}).execute(["info_nce_gradient"], mine=take)
    assert float(own.pieces["info_nce_gradient"](torch.zeros(4, 4))) == pytest.approx(2 * RIGHT)


def test_a_definition_that_stops_is_told() -> None:
    source = "class Loss:\n    missing.call()\n\ninfo_nce = Loss()"
    own = Sources({HOME: saved(source)}).execute(["info_nce"])
    assert own.pieces == {}
    assert own.notes == [f"{HOME}, cell 1, line 1: NameError: name 'missing' is not defined"]
    assert own.failures["info_nce"].kind == "NameError"


def test_an_exception_that_cannot_speak() -> None:
    source = (
        "class Bad(Exception):\n    def __str__(self):\n        raise ValueError\n\n"
        "class Loss:\n    raise Bad\n\ndef info_nce(s, loss=Loss):\n    return 1"
    )
    own = Sources({HOME: saved(source)}).execute(["info_nce"])
    assert own.failures["info_nce"].kind == "NameError"
    assert "line 5: Bad: " in own.notes[0]


def test_a_file_that_cannot_be_read_loses_only_itself() -> None:
    sources = Sources({"ps2_positions/a.ipynb": b"\x00", HOME: saved("import torch", PIECE)})
    assert list(sources.where) == ["info_nce"]
    assert sources.notes == [sources.unread["ps2_positions/a.ipynb"]]
    assert sources.notes[0].startswith("ps2_positions/a.ipynb cannot be read (")


def test_there_is_an_end_to_notes_and_to_code() -> None:
    sources = Sources({HOME: saved(*["def f(:"] * 200)})
    assert len(sources.notes) == MOST_NOTES + 1
    assert sources.notes[-1] == f"There are {200 - MOST_NOTES} more such notes."
    long = b"x = '" + b"a" * 900_000 + b"'\n"
    sources = Sources({f"{n}.py": long for n in range(12)})
    assert len(sources.scripts) == MOST_CODE // len(long)
    assert "passed over: all files together hold more than" in sources.notes[0]


def course_files(folder: str, *sets: str) -> dict[str, bytes]:
    paths = [Path(SETS[set]) / f"{SETS[set]}.ipynb" for set in sets or SETS]
    return {path.as_posix(): (ROOT / folder / path).read_bytes() for path in paths}


def test_the_solutions_are_found_in_their_cells() -> None:
    sources = Sources(course_files("solutions"))
    assert sources.notes == []
    assert list(sources.where) == [each.piece for each in exercises().values()]
    own = sources.execute(sources.where, mine=take)
    assert own.pieces.keys() == sources.where.keys()
    assert (own.notes, own.failures) == ([], {})
    for piece, found in sources.chosen.items():
        id = next(each.id for each in exercises().values() if each.piece == piece).replace(".", "-")
        assert {id, f"{id}-solution"} & {*found.statement.cell.ids}


def test_nothing_is_taken_for_a_piece_in_what_students_get() -> None:
    sources = Sources(course_files("assignments"))
    assert sources.notes == []
    assert all(found.name == piece and found.statement.is_stub for piece, found in sources.chosen.items())


def test_stubs_are_those_of_the_assignments() -> None:
    given = {
        node.name: node
        for script in Sources(course_files("assignments")).scripts
        for node in (each.node for each in script.statements)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert stubs().keys() == {each.piece for each in exercises().values()}
    for name, stub in stubs().items():
        assert (type(stub), first_line(stub)) == (type(given[name]), first_line(given[name]))
        if isinstance(stub, ast.FunctionDef):
            assert arguments(stub) == arguments(given[name])
            assert len(stub.args.defaults) == len(given[name].args.defaults)


# What may happen to a solved notebook on its way, and is undone.

RENAMED = ["my_{}", "{}_v2", "{}2", "{}_final", "New{}", "whatever"]
CELLS = {each.piece: each for each in exercises().values()}


def home_cell(notebooks: Notebooks, piece: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The cells of the notebook where a piece is written, and its cell."""
    for cells in notebooks.values():
        for each in cells:
            if re.search(rf"^(def|class) {piece}\b", "".join(each["source"]), re.MULTILINE):
                return cells, each
    raise AssertionError(piece)


Notebooks = dict[str, list[dict[str, Any]]]
Damage = Callable[[Notebooks, str, st.DataObject], None]


def twice(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    cells, one = home_cell(notebooks, piece)
    cells.insert(data.draw(st.integers(cells.index(one), len(cells))), deepcopy(one))


def stub_after(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    cells, one = home_cell(notebooks, piece)
    given = next(each for each in GIVEN[SETS[CELLS[piece].set]] if each["id"] == one["id"])
    cells.insert(data.draw(st.integers(0, len(cells))), deepcopy(given))


def moved(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    cells, one = home_cell(notebooks, piece)
    cells.remove(one)
    other = notebooks[data.draw(st.sampled_from(sorted(notebooks)))]
    other.insert(data.draw(st.integers(0, len(other))), one)


def split(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    cells, one = home_cell(notebooks, piece)
    lines = "".join(one["source"]).splitlines(keepends=True)
    at = data.draw(st.integers(1, len(lines) - 1))
    if data.draw(st.booleans()):  # the cursor stood behind the indentation
        indent = len(lines[at]) - len(lines[at].lstrip())
        parts = ["".join(lines[:at]) + lines[at][:indent], lines[at][indent:] + "".join(lines[at + 1 :])]
    else:
        parts = ["".join(lines[:at]), "".join(lines[at:])]
    if parts[1].strip():
        below = deepcopy(one) | {"id": f"{one['id']}-below", "metadata": {}, "source": parts[1]}
        one["source"] = parts[0]
        cells.insert(cells.index(one) + 1, below)


def retyped(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    _, one = home_cell(notebooks, piece)
    one["cell_type"] = data.draw(st.sampled_from(["markdown", "raw"]))


def renamed(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    _, one = home_cell(notebooks, piece)
    name = data.draw(st.sampled_from(RENAMED)).format(piece)
    one["source"] = re.sub(
        rf"^(def|class) {piece}\b", rf"\1 {name}", "".join(one["source"]), flags=re.MULTILINE
    )


def stripped(notebooks: Notebooks, piece: str, data: st.DataObject) -> None:
    for cells in notebooks.values():
        for each in cells:
            each["metadata"] = {}
            each.pop("id", None)


GIVEN = {name.split("/")[0]: json.loads(text)["cells"] for name, text in course_files("assignments").items()}
SOLVED = {name: json.loads(text)["cells"] for name, text in course_files("solutions").items()}


def body_of(found: Statement) -> list[str]:
    assert isinstance(found.node, ast.FunctionDef | ast.ClassDef)
    return [ast.dump(each) for each in found.node.body]


@cache
def as_solved() -> dict[str, list[str]]:
    """The bodies of the pieces before anything happened to them."""
    return {
        piece: body_of(found.statement) for piece, found in Sources(course_files("solutions")).chosen.items()
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_happens_to_a_cell_its_piece_is_found(data: st.DataObject) -> None:
    piece = data.draw(st.sampled_from(sorted(CELLS)))
    places = {
        f"{SETS[CELLS[piece].set]}/{SETS[CELLS[piece].set]}.ipynb",
        data.draw(st.sampled_from(sorted(SOLVED))),
    }
    notebooks = deepcopy({name: SOLVED[name] for name in sorted(places)})
    first: list[Damage] = data.draw(
        st.lists(st.sampled_from([twice, stub_after, moved]), max_size=2, unique=True)
    )
    last: Damage = data.draw(st.sampled_from([split, retyped, renamed]))
    for damage in first:
        damage(notebooks, piece, data)
    if twice not in first:
        last(notebooks, piece, data)
    if data.draw(st.booleans()):
        stripped(notebooks, piece, data)
    sources = Sources({name: json.dumps({"cells": cells}).encode() for name, cells in notebooks.items()})
    found = sources.chosen[piece].statement
    assert body_of(found) == as_solved()[piece]
    others = [name for name, each in CELLS.items() if each.set != CELLS[piece].set]
    own = sources.execute([piece], given=dict.fromkeys(others, "lent"), mine=take)
    assert piece in own.pieces, own.notes


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    content = bytearray(course_files("solutions", "ps1")[HOME])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(
            st.binary(max_size=5) | st.sampled_from([b'"', b"{", b"\\", b"'''", b"%%", b"(", b"\n    "])
        )
        content[at : at + data.draw(st.sampled_from([0, len(piece), 300]))] = piece
    sources = Sources({HOME: bytes(content)})
    own = sources.execute(["info_nce", "info_nce_gradient"], mine=take)
    assert own.pieces.keys() <= sources.where.keys()
    assert sources.where or sources.notes
    json.dumps([sources.notes, sources.where, own.notes]).encode()
