"""What stays warm between two evaluations: the tokenizer's and METEOR's memory, and METEOR's process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pycocoevalcap.rouge.rouge import Rouge

from idc.errors import UserError
from idc.metrics import captions as module
from idc.metrics import tokens
from idc.metrics.captions import CaptionScorer, score_captions
from idc.metrics.java import java
from idc.metrics.memory import Memory
from idc.metrics.meteor import METEOR, Meteor
from idc.metrics.tokens import penn_treebank
from idc.world.triple import sample_triple
from tests.metrics.test_captions import coco_figures

# Words that the tokenizer splits, abbreviations, and words that mean something else beside others.
WORDS = """
    cannot Cannot gonna gotta wanna gimme lemme gimmie tis twas whatcha d ll s t n nt dont cant The THE cube
    us US am pm a I Mr Mrs Inc Corp Jan Mon St vs etc No Nos Fig one half million mm cm ball spheres grey more than
    ought hafta dunno finna outta
""".split()  # noqa: SIM905 - as text it is easier to read


def sentences(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randrange(1, 12))) for _ in range(count)]


@pytest.mark.java
def test_words_are_split_alike_alone_and_among_others() -> None:
    """Every pair of the odd words, and random sentences of them, against whole-sentence runs of the tokenizer."""
    whole = [f"{a} {b}" for a in WORDS for b in WORDS] + sentences(0, 400)
    assert penn_treebank(whole) == tokens.run(whole)
    assert penn_treebank(["cannot be"]) == ["can not be"]


@pytest.mark.java
def test_odd_captions_are_tokenized_as_a_whole() -> None:
    odd = [
        "",
        " ",
        "  two  spaces ",
        "It's the ball, isn't it?",
        "4 cubes",
        "café — naïve",
        "?!",
        "U.S. $ 5",
    ]
    expected = tokens.run(odd)
    tokens.seen.known.clear()
    assert penn_treebank(odd) == expected
    assert penn_treebank(odd) == expected


@pytest.mark.java
def test_a_period_at_the_end_is_read_with_the_next_caption() -> None:
    """“b.” is an abbreviation unless a new sentence begins; the memory must not mix the two up."""
    tokens.seen.known.clear()
    for after in ("The cube", "the cube", ""):
        captions = ["it is at spot b.", after]
        assert penn_treebank(captions) == tokens.run(["\n".join(captions), after])
    assert penn_treebank(["spot b.", "The end"])[0] != penn_treebank(["spot b.", "the end"])[0]


@pytest.mark.java
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\u2028", "\u2029", "\x85", "\x1c"])
def test_a_line_break_moves_no_caption(end: str) -> None:
    assert penn_treebank([f"the cube{end}is", "it's gone"]) == ["the cube is", "it 's gone"]


ODD = [
    "",
    "|||",
    "a ||| b",
    "||||| |",
    "a\nb",
    "?!",
    "...",
    "'",
    "é 你好 😀",
    "it is at b.",
    "The BIG cube, (red)!",
    " ",
]


@pytest.mark.java
@pytest.mark.parametrize("turn", [0, 5])
def test_odd_captions_score_as_cocos(tmp_path: Path, turn: int) -> None:
    """As candidates; as references, among ordinary ones and alone."""
    names = [f"{n:06d}.png" for n in range(len(ODD))]
    references = {name: ["the cube is gone", ODD[n], ODD[n - 1]][n % 3 :] for n, name in enumerate(names)}
    predictions = {name: ODD[(n + turn) % len(ODD)] for n, name in enumerate(names)}
    figures = score_captions(predictions, references)
    for name, value in coco_figures(tmp_path, predictions, references).items():
        assert figures[name] == pytest.approx(value, abs=1e-6), name


def corpus(start: int, count: int) -> tuple[dict[str, str], dict[str, list[str]]]:
    triples = [sample_triple(9, i) for i in range(start, start + count)]
    return {f"{t.index:06d}.png": t.sentences[0] for t in triples}, {
        f"{t.index:06d}.png": list(t.sentences[1:]) for t in triples
    }


@pytest.mark.java
def test_the_second_time_equals_the_first_and_cocos(tmp_path: Path) -> None:
    """All unchanged, half of the captions changed, all changed."""
    predictions, references = corpus(0, 30)
    names = list(predictions)
    first = score_captions(predictions, references)
    assert score_captions(predictions, references) == first
    for share in (0.5, 1.0):
        changed = {
            name: references[name][1] + " again" if i < share * len(names) else predictions[name]
            for i, name in enumerate(names)
        }
        (folder := tmp_path / str(share)).mkdir()
        expected = coco_figures(folder, changed, references)
        figures = score_captions(changed, references)
        assert figures != first
        for name, value in expected.items():
            assert figures[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.java
def test_what_is_known_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = corpus(50, 5)
    score_captions(predictions, references)
    asked: list[str] = []
    ask = METEOR.ask
    monkeypatch.setattr(METEOR, "ask", lambda lines, answers: asked.extend(lines) or ask(lines, answers))
    monkeypatch.setattr(tokens, "run", lambda texts: pytest.fail(f"the tokenizer was started for {texts}"))
    new = dict(predictions)
    new["000050.png"] = references["000050.png"][0].replace("the", "a")
    CaptionScorer(new, references).score()
    assert sorted(line.split(" ")[0] for line in asked) == ["EVAL", "SCORE"]


QUESTION = ("the cube is gone", ("the cube was removed",))


@pytest.mark.java
def test_meteor_comes_back_after_it_was_killed() -> None:
    before = METEOR.score([QUESTION])
    METEOR.process.kill()
    METEOR.process.wait()
    assert METEOR.score([QUESTION]) == before


@pytest.mark.java
@pytest.mark.parametrize("deaths", [1, 2])
def test_killed_between_a_question_and_its_answer(monkeypatch: pytest.MonkeyPatch, deaths: int) -> None:
    """It is asked again, in a new process, once."""
    expected = METEOR.find([QUESTION])
    exchange, dying = METEOR.exchange, iter(range(deaths))

    def dies(lines: list[str], answers: int) -> list[str]:
        for _ in dying:
            METEOR.process.kill()
            METEOR.process.wait()
            break
        return exchange(lines, answers)

    monkeypatch.setattr(METEOR, "exchange", dies)
    if deaths == 1:
        assert METEOR.find([QUESTION]) == expected
    else:
        with pytest.raises(UserError, match="ended twice"):
            METEOR.find([QUESTION])
        assert METEOR.process is None
    assert METEOR.find([QUESTION]) == expected


@pytest.mark.java
def test_two_threads_share_the_process() -> None:
    corpora = [[(f"the cube {n}", ("the cube",))] * n for n in range(1, 9)]
    one_by_one = [METEOR.score(questions) for questions in corpora]
    METEOR.statistics.known.clear()
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(METEOR.score, corpora)) == one_by_one


CHILD = """
import os, signal, sys
from idc.metrics.meteor import METEOR
question = "a cube", ("the cube",)
print(METEOR.score([question]), METEOR.process.pid, flush=True)
if sys.argv[1] == "fork":
    child = os.fork()
    print(METEOR.score([question]), METEOR.process.pid, flush=True)
    if child:
        os.waitpid(child, 0)
if sys.argv[1] == "error":
    raise RuntimeError("something else went wrong")
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.java
@pytest.mark.parametrize("way", ["end", "error", "fork", "kill"])
def test_nothing_is_left_behind(way: str) -> None:
    with java():
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", CHILD, way],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert result.returncode == {"end": 0, "fork": 0, "error": 1, "kill": -9}[way], result.stderr
    assert "Warning" not in result.stderr
    scores, pids = zip(*(line.split() for line in result.stdout.splitlines()), strict=True)
    assert len(set(scores)) == 1
    assert len(set(pids)) == (2 if way == "fork" else 1)  # the child has a process of its own
    deadline = time.monotonic() + 10
    while any(alive(int(pid)) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(int(pid)) for pid in pids)


@pytest.mark.java
def test_a_failing_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    meteor = Meteor()
    monkeypatch.setattr("pycocoevalcap.meteor.meteor.METEOR_JAR", "no-such.jar")
    with pytest.raises(UserError, match="ended twice"):
        meteor.score([QUESTION])
    assert meteor.process is None and not meteor.statistics.known


def test_a_memory_keeps_what_was_asked_last() -> None:
    memory: Memory[int, int] = Memory(3)
    asked: list[list[int]] = []

    def squares(numbers: list[int]) -> list[int]:
        asked.append(numbers)
        return [n * n for n in numbers]

    assert memory.recall([1, 2, 3, 2], squares) == [1, 4, 9, 4]
    assert memory.recall([1, 4], squares) == [1, 16]
    assert memory.recall([3, 1, 4], squares) == [9, 1, 16]
    assert memory.recall([5, 6, 7, 8], squares) == [25, 36, 49, 64]  # more than it holds
    assert asked == [[1, 2, 3], [4], [5, 6, 7, 8]]
    assert list(memory.known) == [6, 7, 8]


@pytest.mark.java
def test_more_captions_than_a_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = corpus(100, 12)
    expected = score_captions(predictions, references)
    for memory in (module.bleu_counts, module.rouge_scores, tokens.seen, METEOR.statistics):
        monkeypatch.setattr(memory, "room", 2)
    assert score_captions(predictions, references) == expected
    assert len(METEOR.statistics.known) == len(module.bleu_counts.known) == 2


def test_common_words_as_rouge_counts_them() -> None:
    """Against pycocoevalcap's table, caption by caption; silence counts as one empty word."""
    chance = random.Random(0)
    for vocabulary in (2, 5, 30):
        for _ in range(300):
            caption, *references = (
                " ".join(f"w{chance.randrange(vocabulary)}" for _ in range(chance.randrange(15)))
                for _ in range(chance.randrange(2, 7))
            )
            assert module.rouge_l(caption, references) == Rouge().calc_score([caption], references)
