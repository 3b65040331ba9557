"""torch and torchvision of different builds: the first command says so. Clashes are simulated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from idc.backbones.versions import PINS, check_torchvision
from idc.errors import UserError

NMS = "operator torchvision::nms does not exist"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_what_is_installed_fits(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "idc.backbones.versions")
    assert result.returncode == 0 and "fit together" in result.stdout and not result.stderr


def fake_torchvision(folder: Path) -> None:
    """A torchvision 0.11.1 that fails as one from another build does."""
    (folder / "torchvision").mkdir()
    code = f"raise RuntimeError({NMS!r})\n"
    (folder / "torchvision" / "__init__.py").write_text(code, encoding="utf-8")
    about = folder / "torchvision-0.11.1.dist-info"
    about.mkdir()
    metadata = "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.11.1\n"
    (about / "METADATA").write_text(metadata, encoding="utf-8")


def test_a_clash_names_both_versions_and_the_way_out(tmp_path: Path) -> None:
    fake_torchvision(tmp_path)
    result = run(tmp_path, "-m", "idc.backbones.versions")
    assert result.returncode == 2 and not result.stdout
    assert len(result.stderr.strip().splitlines()) == 1, "one paragraph, no traceback"
    assert f"torch {version('torch')}".split("+")[0] in result.stderr
    assert f"torchvision 0.11.1 do not come from one build: {NMS}" in result.stderr
    assert f"uv pip install --reinstall {PINS}" in result.stderr


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libcudart.so.13: cannot open shared object file"),
        AttributeError("partially initialized module 'torchvision' has no attribute 'extension'"),
        OSError("undefined symbol"),
    ],
)
def test_other_ways_to_clash(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr("idc.backbones.versions.importlib.import_module", fail)
    with pytest.raises(UserError, match="do not come from one build") as caught:
        check_torchvision()
    assert str(error) in str(caught.value)


def test_torchvision_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", nothing)
    with pytest.raises(UserError, match=r"torchvision is not installed beside torch 2.*uv pip install"):
        check_torchvision()


def test_a_clash_stops_only_what_needs_torchvision(tmp_path: Path) -> None:
    fake_torchvision(tmp_path)
    program = """
import sys
import idc.data.features, idc.data.clevr_change, idc.data.download, idc.backbones.rendered
print(sorted({"torchvision", "h5py", "requests", "spacy", "matplotlib", "mitsuba", "scipy"} & set(sys.modules)))
from idc.backbones import load_backbone
from idc.errors import UserError
try:
    load_backbone("resnet101")
except UserError as error:
    print(error)
"""
    result = run(tmp_path, "-c", program)
    assert result.returncode == 0 and "do not come from one build" in result.stdout
    assert result.stdout.startswith("[]\n"), "importing costs no heavy library"


def test_the_advice_is_what_is_pinned() -> None:
    text = (Path(__file__).parents[2] / "requirements.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^(torch|torchvision)==(\S+)", text, re.MULTILINE))
    assert f"torch=={pinned['torch']} torchvision=={pinned['torchvision']}" == PINS
