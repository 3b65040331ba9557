"""The right code stands under a name that looks the same and is another: Cyrillic and Greek letters for Latin ones."""

from tests.autograder.handins import renamed

EXERCISE = "ps1.1"
SAYS = "not yet"
CELLS = [
    "def info_nce(similarity: Tensor) -> Tensor:\n    return similarity.sum()\n",
    renamed("ps1.1", "\u0456nfo_nce"),
    renamed("ps1.1", "inf\u03bf_nce"),
    renamed("ps1.1", "info_nc\u0435"),
    renamed("ps1.1", "info\u02cdnce"),
    renamed("ps1.1", "_info_nce"),
    renamed("ps1.1", "info_nce_"),
]
