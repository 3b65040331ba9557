import json

import numpy as np

from data_scripts.record_inside_matching import FILE, SCENES, SIDE, friends, owners
from idc import album


def test_what_is_recorded_is_what_the_backbone_sees() -> None:
    fresh = friends()
    with np.load(FILE) as recorded:
        assert set(recorded.files) == set(fresh)
        for name, expected in fresh.items():
            if name.startswith("alike"):
                assert np.allclose(recorded[name], expected, atol=2e-3)
            else:
                # a friend may change where two are alike to the last digit
                assert (recorded[name] == expected).mean() > 0.98


def test_the_ball_that_moved_is_found_where_it_went() -> None:
    records = map(json.loads, (album.ALBUM / "scenes.jsonl").read_text(encoding="utf-8").splitlines())
    moved = next(record for record in records if record["index"] == SCENES[0])["change"]
    with np.load(FILE) as recorded:
        friends_of_ball = recorded["to_after"][0][recorded["object_before"][0] == moved["before"]]
        found = recorded["object_after"][0][friends_of_ball]
    assert moved["type"] == "move"
    assert (found == moved["after"]).mean() > 0.5


def test_a_cell_belongs_to_the_smallest_box_around_its_centre() -> None:
    found = owners([[0, 0, 160, 60], [0, 0, 20, 20]], (160, 120)).reshape(SIDE, SIDE)
    assert found[0, 0] == 1
    assert found[0, -1] == 0
    assert found[-1, 0] == -1
