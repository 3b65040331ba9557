"""The sampler: everything once an epoch, the same for any number of processes, from any step on."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idc.errors import UserError
from idc.training.sampler import StepSampler

sizes = st.integers(8, 60)


@given(size=sizes, batch=st.integers(1, 8), seed=st.integers(0, 5))
def test_no_scene_twice_in_an_epoch_and_batches_are_whole(size: int, batch: int, seed: int) -> None:
    steps = 3 * (size // batch)
    batches = list(StepSampler(size, batch, seed, 0, steps))
    assert [len(keys) for keys in batches] == [batch] * steps
    for epoch in range(3):
        seen = [index for keys in batches for e, index in keys if e == epoch]
        assert len(seen) == len(set(seen)) == size // batch * batch
        assert set(seen) <= set(range(size))
    assert all(len({epoch for epoch, _ in keys}) == 1 for keys in batches)


@given(size=sizes, batch=st.integers(1, 4), first=st.integers(0, 40))
def test_any_step_can_be_taken_up_again(size: int, batch: int, first: int) -> None:
    whole = list(StepSampler(size, batch, 3, 0, 50))
    assert list(StepSampler(size, batch, 3, first, 50)) == whole[first:]


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_processes_together_see_what_one_sees(processes: int) -> None:
    one = list(StepSampler(25, 2 * processes, 1, 5, 20))
    many = [list(StepSampler(25, 2, 1, 5, 20, rank, processes)) for rank in range(processes)]
    assert one == [list(chain(*slices)) for slices in zip(*many, strict=True)]


def test_epochs_and_seeds_are_shuffled_differently() -> None:
    first, second = (next(iter(StepSampler(40, 40, 1, step, step + 1))) for step in (0, 1))
    other = next(iter(StepSampler(40, 40, 2, 0, 1)))
    orders = [[index for _, index in keys] for keys in (first, second, other)]
    assert orders[0] != orders[1] and orders[0] != orders[2] and orders[0] != sorted(orders[0])


def test_every_scene_is_used_over_epochs_though_a_rest_sits_out() -> None:
    keys = [key for batch in StepSampler(10, 4, 0, 0, 20) for key in batch]
    assert {index for _, index in keys} == set(range(10))


@pytest.mark.parametrize(("processes", "said"), [(1, "a batch of 8 scenes"), (2, "a batch of 2 x 8 scenes")])
def test_too_few_scenes_for_a_batch(processes: int, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        StepSampler(7, 8, 0, 0, 1, 0, processes)
    assert "data.train.batch_size" in str(caught.value)


def test_length_is_what_is_left() -> None:
    assert len(StepSampler(10, 2, 0, 3, 10)) == 7
    assert len(StepSampler(10, 2, 0, 12, 10)) == 0 == len(list(StepSampler(10, 2, 0, 12, 10)))
