"""A .py file instead of a notebook, in an old encoding, with `if __name__ == "__main__"` at its end."""

from pathlib import Path

from tests.autograder.handins import solution

FULL = ("ps1.1", "ps1.2")
HEAD = '''\
#!/usr/bin/env python
# -*- coding: latin-1 -*-
"""Devoir num\xe9ro un."""
import math

import torch
from torch import Tensor


'''
TAIL = """


if __name__ == "__main__":
    import argparse

    argparse.ArgumentParser().parse_args()
    print(info_nce(torch.eye(3)))
"""


def build(submitted: Path, student: str) -> None:
    folder = submitted / student / "ps1_infonce"
    folder.mkdir(parents=True)
    text = HEAD + solution("ps1.1") + "\n\n\n" + solution("ps1.2") + TAIL
    (folder / "ps1_infonce.py").write_text(text, encoding="latin-1")
