"""Pictures that are shown a little differently in training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from idc.config import checked
from idc.data.batch import Batch
from idc.errors import UserError
from idc.systems.clip4idc import CLIP4IDCConfig
from idc.systems.clip4idc.vary import vary
from tests.systems.clip4idc.tiny import batch, build

ONE = torch.ones(2, dtype=torch.float64)
STILL = (torch.ones(2, 2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64), ONE)


def pictures(size: int = 12) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_nothing_changes_where_nothing_is_moved() -> None:
    torch.testing.assert_close(vary(pictures(), *STILL), pictures())


def test_a_shift_moves_by_whole_pixels() -> None:
    """In x by two of twelve pixels, a third of half a picture: a result shows what lies to the right."""
    zoom, shift, light = STILL
    moved = vary(pictures(), zoom, shift + torch.tensor([2 / 6, 0.0]), light)
    torch.testing.assert_close(moved[..., :-2], pictures()[..., 2:])
    torch.testing.assert_close(
        moved[..., -1], pictures()[..., -1], msg="beyond the border it goes on as it ends"
    )


def test_a_negative_zoom_mirrors_and_a_large_one_shows_more() -> None:
    _, shift, light = STILL
    mirrored = vary(pictures(), torch.tensor([[-1.0, 1.0]] * 2).double(), shift, light)
    torch.testing.assert_close(mirrored, pictures().flip(-1))
    bright = torch.zeros(2, 3, 12, 12, dtype=torch.float64)
    bright[..., 4:8, 4:8] = 1
    assert vary(bright, 1.5 * STILL[0], shift, light).sum() < 0.6 * bright.sum()


def test_light_stays_a_picture() -> None:
    zoom, shift, light = STILL
    torch.testing.assert_close(vary(pictures(), zoom, shift, 0.5 * light), pictures() / 2)
    assert vary(pictures(), zoom, shift, 3 * light).max() == 1


def test_both_pictures_of_a_pair_are_moved_alike_and_anew_at_every_step() -> None:
    system = build(vary=0.2).train()
    change = batch().change
    same = replace(change, after=change.before.clone())
    first, second = system.varied([same.before, same.after])
    assert torch.equal(first, second)
    assert not torch.allclose(first, same.before)
    assert not torch.allclose(system.varied([same.before])[0], first)
    torch.manual_seed(5)
    once = system.retrieval_loss(Batch(change, None))
    torch.manual_seed(5)
    assert torch.equal(system.retrieval_loss(Batch(change, None)), once)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(UserError, match=r"“model\.vary” is .*must be .*than"):
        checked(CLIP4IDCConfig, {"vary": share}, "model")


def test_nothing_is_moved_in_use_nor_unless_asked_for() -> None:
    change = batch().change
    plain = build().train()
    expected = plain.embed_pairs(change)
    torch.testing.assert_close(build(vary=0.2).eval().embed_pairs(change), expected)
    assert torch.equal(plain.embed_pairs(change), expected)
    assert not torch.allclose(build(vary=0.2).train().embed_pairs(change), expected)
