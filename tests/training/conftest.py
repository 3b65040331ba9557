"""Fixtures of the tests of training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import idc.systems
from idc.config import Config, load_config
from tests.tiny_world import make_world
from tests.training.two_stages import module, write_two_stages


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture
def two_stages(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Makes a configuration of the tiny system with two stages, with overrides."""
    monkeypatch.setitem(sys.modules, "idc.systems.two_stages", module())
    monkeypatch.setitem(idc.systems.SYSTEMS, "two_stages", "TwoStages")
    path = write_two_stages(tmp_path / "two.yaml", world)
    return lambda *overrides: load_config(path, overrides)
