"""Where notebooks should be there are a pipe nobody writes into, a socket and, where root hands in, an endless
device."""

import os
import socket
from pathlib import Path

from tests.autograder.handins import hand_in

EXERCISE = "ps1.1"
OUTCOMES = {"not attempted"}
KEEPS = ("ps2.1",)
SAYS = ("ps1_infonce.ipynb",)
HARMFUL = True


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, {}, sets=["ps2"])
    folder = submitted / student / "ps1_infonce"
    folder.mkdir()
    os.mkfifo(folder / "ps1_infonce.ipynb")
    here = Path.cwd()
    os.chdir(folder)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.bind("socket.py")
    finally:
        os.chdir(here)
    if os.geteuid() == 0:
        os.mknod(folder / "zero.ipynb", 0o020666, os.makedev(1, 5))
    os.mkfifo(folder / "more.py")
