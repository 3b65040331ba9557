"""The contest of problem set 6: what students get tells nothing, what they send does no harm, and lies come out."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors

from autograder.contest import judge_handin, report_of
from autograder.contest.__main__ import main
from autograder.contest.answers import clean, read_contest_answers, read_own_answers
from autograder.contest.page import leaderboard, leaderboard_page, ranked
from autograder.contest.rerun import caption, check_snapshot, run_again
from autograder.contest.score import (
    METRICS,
    Entry,
    Figures,
    Rerun,
    bootstrap,
    compare,
    question,
    report,
    rescore,
    rescore_class,
)
from autograder.contest.world import (
    References,
    choose_pairs,
    make_references,
    publish,
    read_contest,
    read_world,
    scene_of,
)
from autograder.handin import SNAPSHOT, enter_contest
from autograder.results import Outcome
from idc import album
from idc.errors import UserError
from idc.evaluate import evaluate
from idc.show import BUNDLED
from idc.test import write_results
from idc.world.scene import CHANGE_TYPES

SEED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A contest made of the album's pictures."""
    folder = tmp_path_factory.mktemp("contest")
    shutil.copytree(album.ALBUM, folder / "private" / "world")
    publish(folder, album.scenes(), SEED)
    return folder


@pytest.fixture(scope="module")
def contest(folder: Path) -> References:
    return read_contest(folder)


@pytest.fixture(scope="module")
def own() -> References:
    """The truth about the album's test split, as if it were the world of the course."""
    return read_world(album.ALBUM)


@pytest.fixture(scope="module")
def honest(folder: Path, own: References, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The report of somebody who trained the bundled checkpoint."""
    run, place = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("handin") / "report"
    shutil.copytree(BUNDLED, run / "snapshots" / "2160")
    (run / "best.json").write_text('{"step": 2160, "metric": "facts.statement", "value": 0.86}')
    place.mkdir()
    enter_contest(run, folder / "public", place, "Gradient Goose")
    write_results(place, {pair: own.captions[pair][0] for pair in own.captions})
    results = {"val": {}, "test": evaluate(place, album.ALBUM, metrics=METRICS)}
    (place / "results.json").write_text(json.dumps(results))
    (place / "metrics.jsonl").write_text('{"loss/caption": 4.0}\n{"loss/caption": 1.0}\n')
    return {
        f"ps6_train/report/{path.relative_to(place).as_posix()}": path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


def changed(
    files: dict[str, bytes], name: str, content: bytes | None = None, **values: Any
) -> dict[str, bytes]:
    """The hand-in with one file of the report replaced, or some values in it."""
    name = f"ps6_train/report/{name}"
    if content is None:
        content = json.dumps(json.loads(files[name]) | values).encode()
    return files | {name: content}


def figures(statement: float = 0.5, cider: float = 1.0) -> Figures:
    return Figures(
        pairs=100,
        no_change_pairs=100,
        statement=statement,
        statement_low=statement - 0.1,
        statement_high=statement + 0.1,
        no_change=0.9,
        cider=cider,
        cider_low=cider - 0.1,
        cider_high=cider + 0.1,
        bleu4=0.5,
    )


# What students get


def test_the_public_part_holds_pictures_and_nothing_else(folder: Path, contest: References) -> None:
    public = folder / "public"
    names = sorted(path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file())
    pairs = [f"{number:04d}" for number in range(1, 18)]
    assert names == sorted(
        ["contest.json", *(f"{side}/{pair}.png" for side in ("before", "after") for pair in pairs)]
    )
    told = json.loads((public / "contest.json").read_text())
    assert told == {"contest": contest.contest, "pairs": pairs}
    for path in public.rglob("*.png"):
        content, place, chunks = path.read_bytes(), 8, []
        while place < len(content):
            length, kind = struct.unpack(">I4s", content[place : place + 8])
            chunks.append(kind)
            place += 12 + length
        assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}  # no time, no text, no name


def test_each_pair_shows_the_pictures_of_its_scene(folder: Path, contest: References) -> None:
    for public, hidden in contest.key.items():
        files = album.files(scene_of(hidden))
        after = files["nonsemantic" if hidden.endswith("_n") else "semantic"]
        assert (folder / "public" / "before" / f"{public}.png").read_bytes() == files["default"].read_bytes()
        assert (folder / "public" / "after" / f"{public}.png").read_bytes() == after.read_bytes()


def test_half_of_the_scenes_show_their_change_as_many_of_each_type_and_in_no_order() -> None:
    key = choose_pairs(range(400), SEED)
    shown = [scene_of(pair) for pair in key.values() if not pair.endswith("_n")]
    assert len(shown) == 200
    assert Counter(scene % len(CHANGE_TYPES) for scene in shown) == dict.fromkeys(range(5), 40)
    assert sorted(map(scene_of, key.values())) == list(range(400))  # a scene gives one pair
    assert list(key.values()) != sorted(key.values())
    runs = sum(
        one.endswith("_n") != other.endswith("_n")
        for one, other in zip(shown_order(key), shown_order(key)[1:], strict=False)
    )
    assert 160 < runs < 240  # as by tossing a coin
    assert choose_pairs(range(400), SEED + 1) != key


def shown_order(key: dict[str, str]) -> list[str]:
    return [key[pair] for pair in sorted(key)]


def test_a_contest_is_rendered_continued_and_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "contest"

    def make(scenes: int) -> None:
        words = ["make", "--out", str(out), "--scenes", str(scenes), "--workers", "2"]
        monkeypatch.setattr(sys, "argv", ["contest", *words])
        main()

    make(10)
    settings = json.loads((out / "private" / "world" / "world.json").read_text())["settings"]
    key = (out / "private" / "key.json").read_bytes()
    assert settings["seed"] > 2**32  # nobody tries all of them
    for path in (out / "public").rglob("*.json"):
        assert str(settings["seed"]) not in path.read_text()
    (out / "public" / "after" / "0003.png").unlink()
    make(10)
    assert (out / "private" / "key.json").read_bytes() == key
    assert (out / "public" / "after" / "0003.png").is_file()
    with pytest.raises(SystemExit):
        make(15)
    assert "another size" in capsys.readouterr().err
    make_references(tmp_path / "truth", settings["seed"], [0, 0, 10])
    assert read_world(tmp_path / "truth") == read_world(out / "private" / "world")  # without its pictures


# What students send


def test_an_honest_hand_in_is_scored_and_its_claims_hold(
    honest: dict[str, bytes], contest: References, own: References
) -> None:
    entry = rescore(honest, "ada", contest, own)
    assert entry.claims == () and entry.remarks == ()
    assert entry.compared > 40
    assert entry.pseudonym == "Gradient Goose"
    assert entry.figures is not None
    assert entry.figures.statement_low <= entry.figures.statement <= entry.figures.statement_high
    assert entry.figures.pairs + entry.figures.no_change_pairs == 17


def test_true_captions_score_as_true(contest: References, honest: dict[str, bytes]) -> None:
    truth = {public: contest.captions[hidden][0] for public, hidden in contest.key.items()}
    entry = rescore(changed(honest, "contest.json", captions=truth), contest=contest)
    assert entry.figures is not None
    assert entry.figures.statement == entry.figures.no_change == 1


def test_what_is_computed_again_is_what_the_kit_computes(own: References, tmp_path: Path) -> None:
    said = dict.fromkeys(own.captions, "the big red metal ball moved")
    write_results(tmp_path, said)
    expected, found = evaluate(tmp_path, album.ALBUM, metrics=METRICS), report(said, own)
    for group in ("all", "change", "no_change", "facts"):
        for metric, value in found[group].items():
            assert value == pytest.approx(expected[group][metric], abs=1e-9)


def test_a_claim_that_is_too_good_is_named_with_both_figures(
    honest: dict[str, bytes], contest: References, own: References
) -> None:
    results = json.loads(honest["ps6_train/report/results.json"])
    real = results["test"]["all"]["CIDEr"]
    results["test"]["all"]["CIDEr"] = real + 0.5
    results["test"]["facts"]["statement"] = "100 %"
    entry = rescore(changed(honest, "results.json", json.dumps(results).encode()), "boris", contest, own)
    assert f"all pairs, CIDEr: claimed {100 * real + 50:.1f}, recomputed {100 * real:.1f}" in entry.claims
    assert "facts, statement: the claim is no number, recomputed 100.0" in entry.claims
    assert len(entry.claims) == 2


def test_rounding_is_no_lie() -> None:
    claimed = {"results.json": json.dumps({"test": {"all": {"CIDEr": 1.3124}}}).encode()}
    assert compare(claimed, {"all": {"CIDEr": 1.3129}}) == ([], 1)
    assert compare(claimed, {"all": {"CIDEr": 1.3139}})[0] == [
        "all pairs, CIDEr: claimed 131.2, recomputed 131.4"
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"test": {"all": {"CIDEr": NaN}}}', "NaN is not a number"),
        (b"[1, 2]", "must hold an object"),
        (b'{"val": {}}', "claims nothing about the test split"),
        (b'{"test": [[[]]]}', "claims nothing"),
        (b"{" * 9, "cannot be read as JSON"),
    ],
)
def test_claims_that_cannot_be_read_are_told(content: bytes, says: str) -> None:
    told, compared = compare({"results.json": content}, {"all": {"CIDEr": 1.0}})
    assert compared == 0
    assert says in told[0]


def test_captions_from_the_truth_on_ones_own_disk_raise_a_question() -> None:
    assert "Ask how" in question({"statement": 1.0, "pairs": 300}, figures(0.6))
    assert question({"statement": 0.65, "pairs": 300}, figures(0.6)) == ""
    assert question({"statement": 1.0, "pairs": 300}, figures(1.0)) == ""


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"captions": {}}, "lacks captions for 17 of 17 pairs"),
        ({"captions": {"0001": "x" * 10_000_000}}, "larger than 4 MB"),
        ({"captions": {"0001": "x" * 1000}}, "more than 400 characters"),
        ({"captions": {"0001": 5, "0002": None, "0003": ["a"]}}, "3 captions of contest.json are no text"),
        (
            {"captions": {"../../etc": "a", "9999": "b"}},
            "2 captions of contest.json are for pairs that do not exist",
        ),
        ({"captions": ["a", "b"]}, "must be an object {pair: caption}, not a list"),
        ({"contest": "another"}, "is for another contest"),
        ({"contest": {"a": 1}}, "is for another contest"),
        ({"contest": "\ud800\x1b[31m\u202e"}, "is for another contest (“\ufffd\ufffd[31m\ufffd”"),
        ({"pseudonym": "<b>x</b>"}, "The pseudonym may have"),
        ({"pseudonym": ["x"]}, "The pseudonym may have"),
    ],
)
def test_an_entry_that_is_not_as_it_should_be_is_told(
    honest: dict[str, bytes], contest: References, values: dict[str, Any], says: str
) -> None:
    files = changed(honest, "contest.json", **values)
    answers = read_contest_answers(report_of(files), contest.key, contest.contest)
    assert any(says in remark for remark in answers.remarks)
    assert leaderboard_page([rescore(files, "x", contest)], details=True).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 300_000,
        b'{"contest": "x", "contest": "y"}',
        b'{"\\ud800": "x", "\\ud800": "y"}',
        b'{"captions": {"0001": "\\ud800"}}',
        pickle.dumps({"captions": {}}),
    ],
)
def test_bytes_that_are_no_entry_give_a_sentence(
    honest: dict[str, bytes], contest: References, content: bytes
) -> None:
    entry = rescore(changed(honest, "contest.json", content), contest=contest)
    assert entry.figures is None
    assert entry.remarks


def test_captions_cannot_reach_the_scorers_with_strange_letters(
    contest: References, honest: dict[str, bytes]
) -> None:
    assert clean("The RED cube\n\r\u2028|||\x00 moved\ud800. ") == "the red cube moved"
    evil = dict.fromkeys(contest.key, "a\nb ||| c\u2028\ud800 \x1b[31m<!-- 结果 -->")
    entry = rescore(changed(honest, "contest.json", captions=evil), contest=contest)
    assert entry.figures is not None
    assert entry.figures.statement == 0


def test_one_students_captions_change_nobody_elses_figures(
    honest: dict[str, bytes], contest: References, own: References
) -> None:
    evil = changed(
        honest, "contest.json", captions=dict.fromkeys(contest.key, "SCORE ||| \n EVAL ||| plan B.")
    )
    together = rescore_class({"ada": honest, "evil": evil}, contest, own)
    assert together[0] == rescore(honest, "ada", contest, own)


def test_missing_captions_count_as_wrong(honest: dict[str, bytes], contest: References) -> None:
    truth = {public: contest.captions[hidden][0] for public, hidden in contest.key.items()}
    few = dict(list(truth.items())[:3])
    entry = rescore(changed(honest, "contest.json", captions=few), contest=contest)
    assert entry.figures is not None
    assert entry.figures.statement + entry.figures.no_change < 1


def test_results_of_another_world_are_not_called_a_lie(honest: dict[str, bytes], own: References) -> None:
    rows = json.dumps([{"image_id": "777777.png", "caption": "x"}]).encode()
    files = changed(changed(honest, "sc_results.json", rows), "nsc_results.json", rows)
    entry = rescore(files, own=own)
    assert entry.claims == ()
    assert "for other pictures" in entry.remarks[0]


@pytest.mark.parametrize("content", [b"{}", b"[1]", b'[{"image_id": [], "caption": {}}]', b"", b"[[[["])
def test_result_files_of_another_form_give_a_sentence(
    honest: dict[str, bytes], own: References, content: bytes
) -> None:
    answers = read_own_answers(report_of(changed(honest, "sc_results.json", content)), own.captions)
    assert answers.remarks


def test_an_empty_hand_in_has_an_entry(contest: References, own: References) -> None:
    entry = rescore({}, "gina", contest, own)
    assert entry.figures is None
    assert len(entry.remarks) == 2


def test_the_report_with_the_most_of_what_is_expected_is_the_report() -> None:
    files = {"a/report/x.json": b"", "report/results.json": b"1", "report/no_cbr/results.json": b"2"}
    assert report_of(files) == {"results.json": b"1", "no_cbr/results.json": b"2"}


# Exercise ps6.1


def test_the_machine_part_of_the_set_has_its_points_and_flags(
    honest: dict[str, bytes], own: References
) -> None:
    result = judge_handin(honest, own)
    assert (result.id, result.points, result.out_of) == ("ps6.1", 2, 4)
    assert result.outcome is Outcome.WRONG
    assert "figure" in result.message and result.flags == ()
    results = json.loads(honest["ps6_train/report/results.json"])
    results["test"]["all"]["BLEU-4"] = 0.01
    lying = judge_handin(changed(honest, "results.json", json.dumps(results).encode()), own)
    assert lying.points == 2
    assert any("claimed 1.0" in flag for flag in lying.flags)
    assert judge_handin({}).outcome is Outcome.NOT_ATTEMPTED
    strange = b'{"\\ud800": 1, "\\ud800": 2}'
    assert "stands there twice" in judge_handin(changed(honest, "results.json", strange), own).message


# The checkpoint


def test_a_checkpoint_is_run_again_and_says_what_was_submitted(
    honest: dict[str, bytes], folder: Path, contest: References
) -> None:
    (entry,) = rescore_class(
        {"ada": honest}, contest, run_again=lambda report: run_again(report, folder / "public")
    )
    assert entry.rerun is not None
    assert entry.rerun.reason == ""
    assert entry.rerun.same == 1
    assert entry.rerun.figures == entry.figures


def test_captions_that_the_checkpoint_never_said_do_not_rank(
    honest: dict[str, bytes], folder: Path, contest: References
) -> None:
    truth = {public: contest.captions[hidden][0] for public, hidden in contest.key.items()}
    said = json.loads(honest["ps6_train/report/contest.json"])["captions"]
    files = changed(honest, "contest.json", captions=truth)
    (entry,) = rescore_class({"eve": files}, contest, run_again=lambda report: said)
    assert entry.rerun is not None and entry.rerun.same < 0.5
    assert entry.counted == rescore(honest, contest=contest).figures


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    shutil.copytree(BUNDLED, tmp_path / "snapshot")
    return tmp_path / "snapshot"


def edit_json(name: str, **values: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return edit


def edit_model(**values: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / "config.yaml"
        content = yaml.safe_load(path.read_text())
        content["model"] |= values
        path.write_text(yaml.safe_dump(content))

    return edit


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (edit_model(dim=10**9), "model.dim in config.yaml is 1000000000"),
        (edit_model(dim=-1), "“model.dim” is -1"),
        (edit_model(heads=0), "model.heads"),
        (edit_model(encoder_layers=10**6), "model.encoder_layers"),
        (edit_model(dim=256), "tensors differ"),
        (edit_model(heads=7), "model.heads is 7"),
        (edit_model(surprise=1), "surprise"),
        (edit_json("snapshot.json", max_words=10**9), "max_words"),
        (edit_json("snapshot.json", max_words=True), "max_words"),
        (edit_json("snapshot.json", grid_shape=[384, 7, 10**6]), "grid_shape"),
        (edit_json("snapshot.json", backbone="resnet101"), "resnet101"),
        (edit_json("vocab.json", more=90), "vocab.json are not 0"),
        (edit_json("vocab.json", more=81), "tensors differ"),
        (write("vocab.json", b"{}"), "vocab.json has 0 words"),
        (write("vocab.json", json.dumps({str(i): i for i in range(30_000)}).encode()), "30000 words"),
        (write("config.yaml", LAUGHS.encode()), "refers to parts of itself"),
        (write("config.yaml", b"[" * 30_000), "config.yaml"),
        (write("config.yaml", b"seed: " + b"9" * 10_000), "config.yaml"),
        (write("config.yaml", b"exp_name: !!python/object/apply:os.system [ls]"), "config.yaml"),
        (write("config.yaml", b"\xff"), "config.yaml"),
        (write("model.safetensors", b"\xff" * 100), "not whole or no safetensors"),
        (write("model.safetensors", b""), "not whole or no safetensors"),
        (write("model.safetensors", to_safetensors({"a": torch.zeros(2, dtype=torch.int64)})), "I64"),
        (write("model.safetensors", to_safetensors({"a": torch.zeros(2)})), "tensors differ"),
    ],
)
def test_a_checkpoint_that_could_do_harm_is_refused_before_anything_is_built(
    snapshot: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(snapshot)
    with pytest.raises(UserError, match=r"\w") as error:
        check_snapshot(snapshot)
    assert says in str(error.value)


def test_the_bundled_checkpoint_passes(snapshot: Path) -> None:
    check_snapshot(snapshot)


def test_weights_that_are_not_finite_are_refused(snapshot: Path, folder: Path) -> None:
    weights = load_file(snapshot / "model.safetensors")
    first = next(iter(weights))
    weights[first] = torch.full_like(weights[first], torch.nan)
    (snapshot / "model.safetensors").write_bytes(to_safetensors(weights))
    check_snapshot(snapshot)
    with pytest.raises(UserError, match="not finite"):
        caption(snapshot, folder / "public")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", pickle.dumps([1]), "is a pickle"),
        ("model.safetensors", b"PK\x03\x04" + b"\0" * 100, "is a pickle or an archive"),
        ("model.safetensors", b"\0" * (64 * 2**20 + 1), "more than the 64.0 MB"),
        ("vocab.json", pickle.dumps({}), "is a pickle"),
        ("config.yaml", b"#" * 2**17, "more than"),
    ],
)
def test_files_of_the_wrong_kind_never_reach_the_other_process(
    honest: dict[str, bytes], folder: Path, name: str, content: bytes, says: str
) -> None:
    said = run_again(report_of(changed(honest, f"snapshot/{name}", content)), folder / "public")
    assert isinstance(said, str) and says in said


def test_a_refusal_of_the_other_process_is_one_sentence(honest: dict[str, bytes], folder: Path) -> None:
    config = honest["ps6_train/report/snapshot/config.yaml"].replace(b"dim: 128", b"dim: 100000000", 1)
    said = run_again(report_of(changed(honest, "snapshot/config.yaml", config)), folder / "public")
    assert (
        said
        == "The checkpoint could not be run: model.dim in config.yaml is 100000000; from 1 to 2048 is allowed here."
    )


def test_without_a_checkpoint_nothing_is_run(honest: dict[str, bytes], folder: Path) -> None:
    none = {name: content for name, content in honest.items() if "snapshot/" not in name}
    assert run_again(report_of(none), folder / "public") == "No checkpoint was handed in."
    some = {name: content for name, content in honest.items() if not name.endswith("vocab.json")}
    assert run_again(report_of(some), folder / "public") == "The checkpoint lacks vocab.json."
    assert len(SNAPSHOT) == 4


# The leaderboard


def board() -> list[Entry]:
    return [
        Entry(
            student="ada",
            pseudonym="Goose",
            figures=figures(0.8),
            compared=9,
            rerun=Rerun(figures=figures(0.8), same=1),
        ),
        Entry(
            student="boris",
            figures=figures(0.9),
            rerun=Rerun(figures=figures(0.4), same=0.2),
            claims=("x",),
            compared=9,
        ),
        Entry(
            student="<script>alert(1)</script>",
            pseudonym="goose",
            figures=figures(0.8, 1.2),
            remarks=("<b>hm</b>",),
        ),
        Entry(student="gina"),
    ]


def test_the_best_is_who_says_the_most_true_things_then_cider() -> None:
    rows = leaderboard(board())
    assert [row["place"] for row in rows] == [1, 2, 3]
    assert [row["name"] for row in rows] == ["<script>alert(1)</script> (goose)", "ada (Goose)", "boris"]
    assert rows[2]["statement"] == 0.4  # what the checkpoint said, not what was submitted
    assert rows[2]["marks"] == ["✗ captions differ (20% the same)", "✗ claimed differs"]
    assert rows[1]["marks"] == ["✓ recomputed", "✓ claims hold"]
    assert rows[0]["marks"] == ["not re-run"]


def test_equal_figures_share_a_place() -> None:
    twins = [Entry(student=name, figures=figures()) for name in "abc"]
    assert [place for place, _, _ in ranked([*twins, Entry(student="d", figures=figures(0.1))])] == [
        1,
        1,
        1,
        4,
    ]


def test_without_names_only_pseudonyms_are_shown() -> None:
    page = leaderboard_page(board(), anonymous=True, details=True)
    rows = leaderboard(board(), anonymous=True)
    assert [row["name"] for row in rows] == ["goose 1", "Goose 2", "someone 1"]
    for text in (page, json.dumps(rows)):
        assert not any(word in text for word in ("ada", "boris", "alert", "gina", "hm"))


def test_the_page_is_whole_and_escaped() -> None:
    page = leaderboard_page(board(), title="a <i>title</i>", details=True)
    assert "<script" not in page and "<b>hm" not in page and "<i>title" not in page
    assert "default-src 'none'" in page
    assert "&lt;b&gt;hm" in page
    assert "hm" not in leaderboard_page(board())  # remarks are the instructor's
    assert "Nobody has entered yet" in leaderboard_page([])


def test_intervals_hold_the_mean_and_shrink_with_more_pairs() -> None:
    low, high = bootstrap([0.0, 1.0] * 50)
    assert 0.35 < low < 0.5 < high < 0.65
    more = bootstrap([0.0, 1.0] * 800)
    assert more[1] - more[0] < (high - low) / 2
    assert bootstrap([1.0] * 9) == (1, 1)


@pytest.mark.browser
def test_the_page_in_a_browser_loads_nothing_and_fits(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "board.html"
    path.write_text(leaderboard_page(board(), details=True), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1250, "height": 900})
    page = context.new_page()
    loaded, told = [], []
    page.on("request", lambda request: loaded.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.goto(path.as_uri())
    assert loaded == [path.as_uri()] and told == []
    assert page.locator("tbody tr").count() == 3
    assert page.evaluate(
        "document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth"
    )
    assert "alert(1)" in page.locator("tbody tr").first.inner_text()
    context.close()


# The commands


def test_from_hand_ins_to_the_page(
    honest: dict[str, bytes],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for student in ("ada", "boris"):
        for name, content in honest.items():
            path = tmp_path / "submitted" / student / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (tmp_path / "submitted" / student / "ps6_train" / "ps6_train.ipynb").write_text("{}")
    scores, page = tmp_path / "scores.json", tmp_path / "board.html"

    def call(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["contest", *map(str, words)])
        main()
        return capsys.readouterr().out

    contest = ("--contest", folder, "--references", album.ALBUM)
    told = call("score", tmp_path / "submitted", *contest, "--no-rerun", "--out", scores)
    assert "ada" in told and "0 of" in told
    call("leaderboard", scores, "--out", page, "--anonymous")
    assert "Gradient Goose 2" in page.read_text(encoding="utf-8")
    assert len(json.loads(page.with_suffix(".json").read_text())) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["make", "--out", "x", "--scenes", "3"], "at least 10"),
        (["score", "."], "nothing to score by"),
        (["score", ".", "--contest", "nowhere"], "no finished contest"),
        (["leaderboard", "nowhere.json", "--out", "x.html"], "nowhere.json is missing"),
        (["leaderboard", "nowhere.json", "--out", "x.pdf"], "must end in .html"),
        (["leaderboard", "x", "--out", "x.html", "--anonymous", "--details"], "exclude each other"),
        (["references", "--out", "x", "--splits", "a,b"], "three numbers"),
    ],
)
def test_commands_that_cannot_work_say_why(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contest", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_scores_that_are_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").write_text('[{"student": 5}]')
    monkeypatch.setattr(
        sys, "argv", ["contest", "leaderboard", str(tmp_path / "s.json"), "--out", str(tmp_path / "x.html")]
    )
    with pytest.raises(SystemExit):
        main()
    assert "holds no scores" in capsys.readouterr().err
