"""An archive made on a Mac: __MACOSX, .DS_Store, checkpoints with older versions, everything one folder deeper."""

import zipfile
from pathlib import Path

from tests.autograder.handins import as_bytes, make_notebook

FULL = ("ps1.1", "ps1.2", "ps2.1")


def build(submitted: Path, student: str) -> None:
    submitted.mkdir(parents=True, exist_ok=True)
    draft = as_bytes(
        make_notebook("ps1", {"ps1.1": ["def info_nce(similarity):\n    return similarity.sum()\n"]})
    )
    with zipfile.ZipFile(submitted / f"{student}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for set, folder in (("ps1", "ps1_infonce"), ("ps2", "ps2_positions")):
            archive.writestr(f"my work/{folder}/{folder}.ipynb", as_bytes(make_notebook(set, {})))
            archive.writestr(f"__MACOSX/my work/{folder}/._{folder}.ipynb", b"\0\5\x16\7\0\2\0\0Mac OS X")
            archive.writestr(f"my work/{folder}/.ipynb_checkpoints/{folder}-checkpoint.ipynb", draft)
        archive.writestr("my work/.DS_Store", b"\0\0\0\1Bud1")
