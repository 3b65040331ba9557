"""The recipe cards in configs/clip4idc: they load, name their command, and hold the released values."""

from __future__ import annotations

from pathlib import Path

import pytest

from idc.config import Config, load_config

CARDS = Path(__file__).parents[3] / "configs" / "clip4idc"
NAMES = ("laptop", "clevr_change", "spot_the_diff", "image_editing_request")


def stages(name: str) -> tuple[Config, Config]:
    config = load_config(CARDS / f"{name}.yaml")
    (adapt,) = config.earlier()
    return adapt, config


@pytest.mark.parametrize("name", NAMES)
def test_every_card_names_its_command(name: str) -> None:
    text = (CARDS / f"{name}.yaml").read_text(encoding="utf-8")
    for word in (f"python -m idc.train --cfg configs/clip4idc/{name}.yaml", "time", "expected"):
        assert word in text
    adapt, caption = stages(name)
    assert adapt.train.best_metric == "retrieval.text_to_pair.R@1"
    assert adapt.run_folder == caption.run_folder / "adapt"
    assert caption.train.precision in ("fp32", "bf16")


@pytest.mark.parametrize("name", NAMES[1:])
def test_real_data_get_the_released_values(name: str) -> None:
    adapt, caption = stages(name)
    assert (adapt.data.train.batch_size, caption.data.train.batch_size) == (128, 16)
    for stage, betas, decay in ((adapt, (0.9, 0.98), 0.2), (caption, (0.9, 0.999), 0.01)):
        optim = stage.optim
        assert (optim.lr, optim.eps, optim.betas, optim.weight_decay) == (1e-4, 1e-6, betas, decay)
        assert optim.warmup == stage.train.steps // 10
    assert (adapt.optim.schedule, caption.optim.schedule) == ("cosine", "linear")
    assert caption.model["freeze_layers"] == 0
    assert caption.model["train_words"] == (name != "clevr_change")


def test_only_adaptation_swaps_the_picture_before() -> None:
    adapt, caption = stages("clevr_change")
    assert (adapt.data.train.swap, caption.data.train.swap) == (0.5, 0.0)
