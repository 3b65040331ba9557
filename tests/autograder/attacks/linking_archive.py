"""An archive with links in it: a folder that is a link to elsewhere and a notebook inside that folder."""

import stat
import zipfile
from pathlib import Path

from tests.autograder.handins import as_bytes, hand_in, make_notebook

EXERCISE = "ps1.1"
OUTCOMES = {"not attempted"}
KEEPS = ("ps2.1",)
SAYS = ("link",)


def build(submitted: Path, student: str) -> None:
    elsewhere = submitted.parent / "somebody-else"
    hand_in(elsewhere, {}, sets=["ps1"])
    submitted.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(submitted / f"{student}.zip", "w") as archive:
        for name, target in (
            ("ps1_infonce", str(elsewhere / "ps1_infonce")),
            ("ps1_infonce/ps1_infonce.ipynb", str(elsewhere / "ps1_infonce" / "ps1_infonce.ipynb")),
            ("device.py", "/dev/zero"),
        ):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
        archive.writestr("ps2_positions/ps2_positions.ipynb", as_bytes(make_notebook("ps2", {})))
