"""Archives that lie: about sizes, about checksums, with a password, cut off, with two files of one name, and an
empty one."""

import io
import struct
import zipfile
from pathlib import Path

from tests.autograder.handins import as_bytes, make_notebook, wrong

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "not attempted"}
KEEPS = ()
SAYS = ()


def build(submitted: Path, student: str) -> None:
    answer = as_bytes(make_notebook("ps1", wrong("ps1.1")))
    name = "ps1_infonce/ps1_infonce.ipynb"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Ps1_InfoNCE/PS1_INFONCE.ipynb", answer)
        archive.writestr(name, answer)
        archive.writestr("ps2_positions/ps2_positions.ipynb", bytes(10**6))
    raw = bytearray(packed.getvalue())
    directory = raw.rfind(b"PK\1\2")
    raw[directory + 16 : directory + 28] = struct.pack("<III", 0, 10, 10)  # another checksum, other sizes
    raw[directory + 8] |= 1  # it says that it wants a password
    folder = submitted / student
    folder.mkdir(parents=True)
    (folder / "lies.zip").write_bytes(raw)
    (folder / "cut.zip").write_bytes(packed.getvalue()[:-40])
    (folder / "empty.zip").write_bytes(b"")
    (folder / "directory.zip").write_bytes(
        b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**31, 2**31, 65535)
    )
