"""Saved in the notebook format 3 of long ago: worksheets, `input` instead of `source`."""

from typing import Any

from tests.autograder.handins import source

FULL = ("ps1.1", "ps1.2")


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "collapsed": False,
            "input": source(cell).splitlines(keepends=True),
            "language": "python",
            "metadata": cell["metadata"],
            "outputs": [{"output_type": "pyout", "prompt_number": 1, "metadata": {}, "text": ["6.0"]}],
            "prompt_number": 1,
        }
        for cell in notebook["cells"]
    ]
    heading = {"cell_type": "heading", "level": 1, "metadata": {}, "source": ["InfoNCE"]}
    return {
        "metadata": {"name": "ps1"},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": [heading, *cells], "metadata": {}}],
    }
