"""A notebook of a million cells."""

from pathlib import Path

from autograder.checks import SETS

EXERCISE = "ps1.2"
OUTCOMES = {"not attempted"}
KEEPS = ()
SAYS = ("ps1_infonce.ipynb",)


def build(submitted: Path, student: str) -> None:
    path = submitted / student / SETS["ps1"] / f"{SETS['ps1']}.ipynb"
    path.parent.mkdir(parents=True)
    cell = '{"cell_type":"code","source":"0"}'
    path.write_text(
        f'{{"nbformat":4,"nbformat_minor":5,"metadata":{{}},"cells":[{",".join([cell] * 10**6)}]}}'
    )
