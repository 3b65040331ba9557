"""An archive of half a megabyte unpacks to hundreds: one large notebook, thousands of small files, an archive in
an archive."""

import io
import zipfile
from pathlib import Path

EXERCISE = "ps1.1"
OUTCOMES = {"not attempted"}
KEEPS = ()
SAYS = ()


def build(submitted: Path, student: str) -> None:
    submitted.mkdir(parents=True, exist_ok=True)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ps1_infonce.py", bytes(5 * 10**7))
    with zipfile.ZipFile(submitted / f"{student}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ps1_infonce/ps1_infonce.ipynb", b" " * 3 * 10**8)
        for number in range(3000):
            archive.writestr(f"ps1_infonce/{number}.py", b"x = 1\n")
        archive.writestr("ps1_infonce/more.zip", inner.getvalue())
