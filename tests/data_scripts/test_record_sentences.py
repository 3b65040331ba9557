"""What the notebook on backward reasoning shows is what the bundled model computes."""

from __future__ import annotations

import numpy as np
import pytest

from data_scripts.record_sentences import RECORDED, record


@pytest.fixture(scope="module")
def now() -> dict[str, dict[str, np.ndarray]]:
    return record()


@pytest.mark.parametrize("name", ["backward_before", "backward_after", "backward_sentences"])
def test_the_recorded_arrays_are_fresh(name: str, now: dict[str, dict[str, np.ndarray]]) -> None:
    file = RECORDED / f"{name}.npz"
    assert file.stat().st_size < 200 * 1024
    with np.load(file, allow_pickle=False) as recorded:
        assert sorted(recorded.files) == sorted(now[name])
        for key, fresh in now[name].items():
            assert recorded[key].dtype == fresh.dtype
            np.testing.assert_allclose(
                recorded[key].astype(np.float32), fresh.astype(np.float32), rtol=0.02, atol=0.02
            )


def test_padding_is_as_loud_as_words(now: dict[str, dict[str, np.ndarray]]) -> None:
    """The notebook says so."""
    states, ids = now["backward_sentences"]["states"].astype(np.float32), now["backward_sentences"]["ids"]
    loudness = np.linalg.norm(states, axis=-1)
    assert (ids == 0).any()
    assert loudness[ids == 0].min() > 0.9 * loudness[ids != 0].mean()
