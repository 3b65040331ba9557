"""An archive whose names climb out of it: into another student's folder, to the root, to other drives."""

import io
import zipfile
from pathlib import Path

from tests.autograder.handins import as_bytes, make_notebook, wrong

EXERCISE = "ps1.1"
SAYS = "not yet"
NAMES = ("../victim/ps1_infonce/ps1_infonce.ipynb", "/tmp/idc-was-here-slip.py", "ps1_infonce/../../idc-was-here-slip.ipynb",
         "..\\..\\idc-was-here-slip.py", "C:\\idc-was-here-slip.py", "ps1_infonce/./../../../idc-was-here-slip.py",
         "//server/idc-was-here-slip.py", "~/idc-was-here-slip.py", "a\0b.py")  # fmt: skip


def build(submitted: Path, student: str) -> None:
    answer = make_notebook("ps1", wrong("ps1.1"))
    right = as_bytes(make_notebook("ps1", {}))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in NAMES:
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, right)
        archive.writestr("ps1_infonce/ps1_infonce.ipynb", as_bytes(answer))
    submitted.mkdir(parents=True, exist_ok=True)
    (submitted / f"{student}.zip").write_bytes(packed.getvalue())
