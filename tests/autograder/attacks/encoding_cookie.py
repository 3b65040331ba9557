"""A .py file whose encoding hides code in what looks like a comment, and one whose encoding does not exist."""

from pathlib import Path

from tests.autograder.handins import hand_in, wrong

EXERCISE = "ps1.2"
SAYS = "not yet"
HIDDEN = "# coding: unicode_escape\n# harmless \\u000ainfo_nce_gradient = lambda similarity: similarity * 0\n"


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, wrong("ps1.2"))
    folder = submitted / student / "ps1_infonce"
    (folder / "extra.py").write_text(HIDDEN)
    for number, name in enumerate(
        ("zlib_codec", "hex", "rot13", "idna", "utf-7", "no-such-coding", "../../x", "undefined")
    ):
        (folder / f"extra{number}.py").write_bytes(f"# coding: {name}\nx = 1\n".encode())
