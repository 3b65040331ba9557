"""What stays warm between two evaluations: the tokenizer's and METEOR's memory, and METEOR's process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from idc.errors import UserError
from idc.metrics import captions as module
from idc.metrics import tokens
from idc.metrics.captions import CaptionScorer, score_captions
from idc.metrics.java import java
from idc.metrics.memory import Memory
from idc.metrics.meteor import METEOR, MeteorProcess
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
        "a\nb",
        "4 cubes",
        "café — naïve",
        "?!",
        "U.S. $ 5",
    ]
    expected = tokens.run(odd)
    tokens.seen.clear()
    assert penn_treebank(odd) == expected
    assert penn_treebank(odd) == expected


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


@pytest.mark.java
def test_meteor_comes_back_after_it_was_killed() -> None:
    before = METEOR.score(["the cube is gone"], [("the cube was removed",)])
    assert METEOR.process is not None
    METEOR.process.kill()
    METEOR.process.wait()
    assert METEOR.score(["the cube is gone"], [("the cube was removed",)]) == before
    with pytest.raises(UserError, match="ended"):  # killed between a question and its answer
        METEOR.process.kill()
        time.sleep(0.2)
        monkey = METEOR.process
        METEOR.process.poll = lambda: None  # nobody has noticed yet
        METEOR.ask(["SCORE ||| a ||| b"], 1)
    assert METEOR.process is None and monkey.returncode is not None
    assert METEOR.score(["the cube is gone"], [("the cube was removed",)]) == before


CHILD = """
import os, sys
from idc.metrics.meteor import METEOR
print(METEOR.score(["a cube"], [("the cube",)]), flush=True)
print(METEOR.process.pid, flush=True)
if sys.argv[1] == "fork":
    child = os.fork()
    score = METEOR.score(["a cube"], [("the cube",)])
    print(score, METEOR.process.pid, flush=True)
    if child:
        os.waitpid(child, 0)
if sys.argv[1] == "error":
    raise RuntimeError("something else went wrong")
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.java
@pytest.mark.parametrize("way", ["end", "error", "fork"])
def test_nothing_is_left_behind(way: str) -> None:
    with java():
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CHILD, way],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (result.returncode != 0) == (way == "error"), result.stderr
    score, pid, *rest = result.stdout.splitlines()
    pids = {int(pid)} | {int(line.split()[1]) for line in rest}
    assert len(pids) == (2 if way == "fork" else 1)  # the child has a process of its own
    assert {line.split()[0] for line in rest} <= {score}
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, pids))


@pytest.mark.java
def test_a_failing_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    process = MeteorProcess()
    monkeypatch.setattr("pycocoevalcap.meteor.meteor.METEOR_JAR", "no-such.jar")
    with pytest.raises(UserError, match=r"ended with code 1|ended while"):
        process.score(["a"], [("a",)])
    assert process.process is None and not process.statistics


def test_memories_are_bounded() -> None:
    memory: Memory[int, int] = Memory(3)
    memory.update((n, n * n) for n in range(5))
    assert dict(memory) == {2: 4, 3: 9, 4: 16}
    memory[2] = 0
    assert len(memory) == 3
    for name in ("bleu_counts", "bleu_references", "rouge_scores", "ciders"):
        assert 0 < getattr(module, name).room <= 200_000


@pytest.mark.java
def test_more_captions_than_a_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = corpus(100, 12)
    expected = score_captions(predictions, references)
    for owner, name in ((module, "bleu_counts"), (module, "rouge_scores"), (tokens, "seen")):
        monkeypatch.setattr(owner, name, Memory(2))
    monkeypatch.setattr(METEOR, "statistics", Memory(2))
    assert score_captions(predictions, references) == expected
