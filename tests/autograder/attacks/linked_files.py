"""The notebook is a link to somebody else's, whose answers are right; links to folders, to the root and in circles
lie beside."""

from pathlib import Path

from tests.autograder.handins import hand_in

EXERCISE = "ps1.1"
OUTCOMES = {"not attempted"}
KEEPS = ("ps2.1",)
SAYS = ("link",)
HARMFUL = True


def build(submitted: Path, student: str) -> None:
    elsewhere = submitted.parent / "somebody-else"
    hand_in(elsewhere, {}, sets=["ps1"])
    hand_in(submitted / student, {}, sets=["ps2"])
    folder = submitted / student / "ps1_infonce"
    folder.mkdir()
    (folder / "ps1_infonce.ipynb").symlink_to(elsewhere / "ps1_infonce" / "ps1_infonce.ipynb")
    (folder / "passwd.py").symlink_to("/etc/passwd")
    (folder / "root").symlink_to("/")
    (folder / "again").symlink_to(folder)
    (submitted / student / "ps1_linked").symlink_to(elsewhere / "ps1_infonce")
    (folder / "dangling.ipynb").symlink_to("/nowhere/at/all.ipynb")
