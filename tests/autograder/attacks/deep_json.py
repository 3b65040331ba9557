"""A notebook that is nested a hundred thousand deep, and one that is no notebook at all."""

from pathlib import Path

from tests.autograder.handins import hand_in

EXERCISE = "ps2.1"
OUTCOMES = {"not attempted"}
KEEPS = ("ps1.1",)
SAYS = ("ps2_positions.ipynb",)


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, {}, sets=["ps1"])
    folder = submitted / student / "ps2_positions"
    folder.mkdir()
    (folder / "ps2_positions.ipynb").write_text('{"cells":' + "[" * 10**5 + "]" * 10**5 + "}")
    (folder / "other.ipynb").write_bytes(b"\xff\xfe\x00\x80" * 1000)
    (folder / "third.ipynb").write_text(
        '{"cells": [3, null, {"cell_type": "code", "source": {"a": 1}}], "cells": "x"}'
    )
