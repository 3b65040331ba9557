"""What a late hand-in costs."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.report.late import Delivery, PerDay, SlipDays, days_late, explained, policy, read_due, settle
from idc.errors import UserError

UTC = timezone.utc
DUE = datetime(2026, 10, 1, 22, tzinfo=UTC)


def handed(days: float, score: float = 10.0, set: str = "ps1") -> Delivery:
    return Delivery(set, DUE, DUE + timedelta(days=days), score)


@pytest.mark.parametrize("days, late", [(-3, 0), (0, 0), (1e-5, 1), (1, 1), (1.01, 2), (30, 30)])
def test_a_begun_day_counts(days: float, late: int) -> None:
    assert days_late(DUE, DUE + timedelta(days=days)) == late


def test_zones_are_respected() -> None:
    berlin = timezone(timedelta(hours=2))
    assert days_late(DUE, datetime(2026, 10, 1, 23, 59, tzinfo=berlin)) == 0
    assert days_late(DUE, datetime(2026, 10, 1, 23, 59)) == 1, "no zone means UTC"
    assert days_late(DUE.replace(tzinfo=None), DUE) == 0


def test_no_penalty_is_the_default() -> None:
    verdict = settle(policy(None), [handed(3)])["ps1"]
    assert (verdict.days, verdict.penalty) == (3, 0) and "costs nothing" in verdict.remark


def test_per_day() -> None:
    verdicts = settle(policy("per_day=10"), [handed(1.5, 8), handed(40, 8, "ps2"), handed(-1, 8, "ps3")])
    assert verdicts["ps1"].penalty == pytest.approx(1.6)
    assert verdicts["ps2"].penalty == 8, "never more than the score"
    assert verdicts["ps3"].penalty == 0 and verdicts["ps3"].remark == ""


def test_unknown_times_are_on_time_and_it_is_said() -> None:
    verdicts = settle(policy("per_day=10"), [Delivery("ps1", DUE, None, 5), Delivery("ps2", None, DUE, 5)])
    assert verdicts["ps1"].penalty == 0 and "not known" in verdicts["ps1"].remark
    assert verdicts["ps2"].remark == ""


def test_slip_days_go_where_they_save_most() -> None:
    sets = [handed(2, 4, "ps1"), handed(3, 10, "ps2"), handed(1, 3, "ps3"), handed(2, 0, "ps4")]
    verdicts = settle(policy("slip_days=4"), sets)
    assert [verdicts[each.set].penalty for each in sets] == [4, 0, 0, 0]
    assert "3 slip days spent on it" in verdicts["ps2"].remark
    assert "0 of 4 slip days left" in verdicts["ps1"].remark


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=4),
    st.integers(0, 6),
    st.sampled_from([100.0, 25.0, 40.0]),
)
def test_no_other_way_to_spend_slip_days_is_cheaper(
    late: list[tuple[int, int]], total: int, percent: float
) -> None:
    days, scores = [each for each, _ in late], [float(score) for _, score in late]

    def cost(spent: tuple[int, ...]) -> float:
        return sum(
            PerDay(percent).after(over - free, score)
            for over, free, score in zip(days, spent, scores, strict=True)
        )

    ways = [way for way in itertools.product(*(range(each + 1) for each in days)) if sum(way) <= total]
    best = tuple(SlipDays(total, percent).best(days, scores))
    assert best in ways
    assert cost(best) == pytest.approx(min(map(cost, ways)))
    assert sum(best) == min(sum(way) for way in ways if cost(way) <= min(map(cost, ways)) + 1e-9)


def test_a_policy_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "def half(set, due, handed_in, score):",
        '    """Half of it is gone."""',
        "    return score / 2",
        "def odd(set, due, handed_in, score): return score + 1",
        "def broken(set, due, handed_in, score): return 1 / 0",
        "nothing = None",
    ]
    (tmp_path / "late_rules_of_this_test.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = policy("late_rules_of_this_test:half")
    assert settle(own, [handed(1)])["ps1"].penalty == 5
    assert explained(own) == "Half of it is gone."
    with pytest.raises(UserError, match="between 0 and the score"):
        settle(policy("late_rules_of_this_test:odd"), [handed(1)])
    with pytest.raises(UserError, match="ZeroDivisionError"):
        settle(policy("late_rules_of_this_test:broken"), [handed(1)])
    with pytest.raises(UserError, match="no function"):
        policy("late_rules_of_this_test:nothing")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "perday",
        "per_day",
        "per_day=ten",
        "per_day=-5",
        "per_day=1,2",
        "slip_days=nan",
        "no:where",
        ":x",
        "os:absent",
    ],
)
def test_names_that_are_no_policy(name: str) -> None:
    with pytest.raises(UserError, match="late policy"):
        policy(name)


def test_policies_explain_themselves() -> None:
    assert "10 %" in explained(policy("per_day=10"))
    assert "counts nothing" in explained(policy("slip_days=4"))
    assert "20 %" in explained(policy("slip_days=4,20"))


def test_deadlines() -> None:
    found = read_due(["ps1=2026-10-01T23:59+02:00", "ps2=2026-10-08T21:59Z"])
    assert found["ps1"] + timedelta(days=7) == found["ps2"]
    for word in ("ps1", "ps1=tomorrow", "=2026-10-01T23:59"):
        with pytest.raises(UserError, match="2026-10-01T23:59"):
            read_due([word])
