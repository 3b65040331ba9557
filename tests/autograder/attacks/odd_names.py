"""Names of files and folders that hurt: line breaks, commands, markup, formulas, turned writing, 250 letters, half
characters."""

import os
from pathlib import Path

from tests.autograder.handins import as_bytes, make_notebook, wrong

EXERCISE = "ps1.1"
SAYS = "not yet"
NAMES = (
    "line\nbreak.ipynb",
    "$(touch idc-was-here-name).py",
    "-rf.py",
    "<script>alert(1)</script>".replace("/", "\u2215") + ".ipynb",
    "=HYPERLINK('x').py",
    "\u202egnp.ypni",
    "n" * 240 + ".py",
    "tab\tand\x1b[31mred.py",
    "ps1_infonce.ipynb;touch x.py",
)


def build(submitted: Path, student: str) -> None:
    answer = as_bytes(make_notebook("ps1", wrong("ps1.1")))
    folder = submitted / student / "ps1_infonce"
    folder.mkdir(parents=True)
    (folder / "ps1_infonce.ipynb").write_bytes(answer)
    for name in NAMES:
        (folder / name).write_bytes(answer if name.endswith("ipynb") else b"x = 1\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/half\xff\xfe.py")).write_bytes(b"x = 1\n")
    (folder / ("<b>" * 20)).mkdir()
    (folder / ("<b>" * 20) / "x.py").write_bytes(b"x = 1\n")
