"""What a command says when it cannot go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from idc.errors import UserError, command, continuing_command

Wrap = Callable[[Callable[..., None]], Callable[..., None]]


@pytest.mark.parametrize("wrap", [command, continuing_command])
def test_an_error_of_the_user_is_one_paragraph(wrap: Wrap, capsys: pytest.CaptureFixture[str]) -> None:
    @wrap
    def main() -> None:
        raise UserError("x.yaml is missing; give another path.")

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: x.yaml is missing; give another path.\n"


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (command, "interrupted\n"),
        (continuing_command, "interrupted; the same command continues where it stopped\n"),
    ],
)
def test_interrupted_only_a_command_that_continues_says_so(
    wrap: Wrap, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @wrap
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("wrap", [command, continuing_command])
def test_other_errors_keep_their_traceback(wrap: Wrap) -> None:
    @wrap
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()
