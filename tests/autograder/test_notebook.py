"""What a notebook shows its student: points that are sentences, hints, explanations, stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from torch import Tensor

from autograder import check, explain, hint, mine, notebook
from autograder.banks import bank
from autograder.handin import check_handin
from idc.errors import UserError
from idc.pieces import info_nce


@pytest.fixture(autouse=True)
def nothing_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "solved", set())


def test_points_are_a_number_for_nbgrader_and_a_sentence_for_people() -> None:
    right, wrong = check("ps1.1", info_nce), check("ps1.1", bank("ps1.1").wrong["columns"])
    assert (float(right), float(wrong)) == (6.0, 0.0)
    shown, _ = DisplayFormatter().format(right)
    assert shown["text/plain"] == "6.0"
    assert "right" in shown["text/html"]
    shown, _ = DisplayFormatter().format(wrong)
    assert shown["text/plain"] == "0.0"
    assert "wrong axis" in shown["text/html"] and "<code>dim</code>" in shown["text/html"]
    assert str(wrong).startswith("✗ ps1.1 InfoNCE: not yet.")


def test_what_student_code_says_is_escaped() -> None:
    def evil(similarity: Tensor) -> Tensor:
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in check("ps1.1", evil)._repr_html_()


def test_an_explanation_waits_for_the_right_answer() -> None:
    assert "First make ps1.1 right" in explain("ps1.1")
    check("ps1.1", info_nce)
    assert "classifier" in explain("ps1.1")


def test_hints_grow() -> None:
    first, last = hint("ps1.1"), hint("ps1.1", 3)
    assert first != last and 'hint("ps1.1", 2)' in first
    with pytest.raises(UserError, match="1, 2 and 3"):
        hint("ps1.1", 4)


def test_an_unknown_exercise_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"ps1\.9.*did you mean “ps1\.\d”"):
        check("ps1.9", info_nce)


def test_mine_takes_what_is_right_and_else_the_librarys(capsys: pytest.CaptureFixture[str]) -> None:
    right = bank("ps1.1").honest["loop"]
    assert mine("info_nce", right) is right
    assert "yours" in capsys.readouterr().out
    assert mine("info_nce", bank("ps1.1").wrong["sum"]) is info_nce
    assert "the library's" in capsys.readouterr().out


def test_mine_finds_the_notebook_of_another_problem_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ps1_infonce").mkdir()
    source = "import torch\n\n\ndef info_nce(s):\n    return (s.logsumexp(1) - s.diag()).mean()\n"
    (tmp_path / "ps1_infonce" / "ps1.py").write_text(source)
    (tmp_path / "ps4_scorer").mkdir()
    monkeypatch.chdir(tmp_path / "ps4_scorer")
    found = mine("info_nce")
    assert found is not info_nce
    assert torch.isfinite(found(torch.zeros(3, 3)))


def test_mine_without_any_other_notebook_takes_the_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ps4_scorer").mkdir()
    monkeypatch.chdir(tmp_path / "ps4_scorer")
    assert mine("info_nce") is info_nce


@pytest.mark.parametrize("name", ["broken.ipynb", "data.txt"])
def test_mine_goes_on_where_the_other_notebook_cannot_be_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ps1_infonce").mkdir()
    (tmp_path / "ps1_infonce" / name).write_text("no notebook")
    (tmp_path / "ps4_scorer").mkdir()
    monkeypatch.chdir(tmp_path / "ps4_scorer")
    assert mine("info_nce") is info_nce
    assert "ps1_infonce" in capsys.readouterr().out


def test_mine_says_so_where_the_library_leaves_it_to_the_student(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import idc.pieces

    def stub(similarity: Tensor) -> Tensor:
        raise NotImplementedError

    monkeypatch.setattr(idc.pieces, "info_nce", stub)
    own = bank("ps1.1").wrong["sum"]
    assert mine("info_nce", own) is own
    assert "missing or not right yet (ps1.1)" in capsys.readouterr().out


def test_mine_names_what_is_no_piece() -> None:
    with pytest.raises(UserError, match="no piece “infonce”"):
        mine("infonce")


def test_an_empty_report_is_not_attempted_and_a_part_counts(tmp_path: Path) -> None:
    assert float(check_handin(tmp_path / "report")) == 0
    (tmp_path / "metrics.jsonl").write_text('{"loss/caption": 4.0}\n{"loss/caption": 1.0}\n')
    (tmp_path / "results.json").write_text('{"val": {}}')
    (tmp_path / "triples.png").write_text("no picture")
    points = check_handin(tmp_path)
    assert float(points) == 1
    assert "results on val and test" in str(points) and "figure" in str(points)
