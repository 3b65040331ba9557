"""Saved by Colab: its own metadata, no ids of cells, sources as one string, nbgrader's marks gone, an installation
on top."""

from typing import Any

from tests.autograder.handins import code_cell, source

FULL = ("ps1.1", "ps1.2")
INSTALL = """\
!pip install -q git+https://github.com/OWNER/image-change-captioning
from google.colab import drive
drive.mount('/content/drive')
"""


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    install = code_cell(INSTALL)
    cells = []
    for number, cell in enumerate([install, *notebook["cells"]]):
        made = {key: value for key, value in cell.items() if key != "id"}
        made["source"] = source(cell)
        made["metadata"] = {
            "id": f"a1B2c3D{number}",
            "colab": {"base_uri": "https://localhost:8080/"},
            "outputId": f"x{number}",
        }
        made["execution_count"] = number
        cells.append(made)
    metadata = {
        "colab": {"provenance": [], "gpuType": "T4", "toc_visible": True},
        "accelerator": "GPU",
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"a": {"model_module": "x"}}},
    }
    return {"nbformat": 4, "nbformat_minor": 0, "metadata": metadata, "cells": cells}
