"""Stored outputs of several megabytes: pictures, tables, a progress bar of thousands of lines, an error."""

from typing import Any

FULL = ("ps1.1", "ps1.2")


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo" * 300_000}}
    bar = {
        "output_type": "stream",
        "name": "stderr",
        "text": [f"\r{number / 100}%|####" for number in range(10_000)],
    }
    error = {
        "output_type": "error",
        "ename": "KeyboardInterrupt",
        "evalue": "",
        "traceback": ["\x1b[31mTraceback\x1b[0m"] * 50,
    }
    notebook["cells"][0]["outputs"] = [picture, bar, error]
    notebook["cells"][1]["outputs"] = [picture]
    return notebook
