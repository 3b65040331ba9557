"""The ungraded exercises of the notebook on CLIP4IDC: stubs are not attempted, solutions right, known mistakes named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent.parent / "notebooks"

NOTEBOOK = nbformat.read(FOLDER / "07_clip4idc.ipynb", as_version=4)
SOURCES = {cell["id"]: cell.source for cell in NOTEBOOK.cells}
EXERCISES = [name.removesuffix("-mine") for name in SOURCES if name.endswith("-mine")]


@pytest.fixture(scope="module")
def begun() -> dict[str, Any]:
    """What there is after the notebook's first cell of code."""
    names: dict[str, Any] = {}
    exec(SOURCES["clip-setup"], names)
    return names


def verdict(exercise: str, answer: str, begun: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """What the check says about an answer, given as source."""
    names = dict(begun)
    exec(answer, names)
    exec(SOURCES[f"{exercise}-check"], names)
    return capsys.readouterr().out.strip()


def test_there_is_one_for_every_idea() -> None:
    ideas = [source for source in SOURCES.values() if re.match(r"## \d\. ", source)]
    assert len(ideas) == len(EXERCISES) == 6


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_stub_is_not_attempted(
    exercise: str, begun: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(exercise, SOURCES[f"{exercise}-mine"], begun, capsys) == "not attempted yet"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_folded_solution_is_right(
    exercise: str, begun: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folded = re.search(
        r"<details>.*?```python\n(.*?)```.*</details>", SOURCES[f"{exercise}-solution"], re.DOTALL
    )
    assert folded is not None
    assert verdict(exercise, folded[1], begun, capsys) == "right"


OTHERWISE = {  # honest other ways
    "clip-ranks": """
def fair_ranks(scores):
    ranks = []
    for i, row in enumerate(scores.tolist()):
        ahead, level = sum(x > row[i] for x in row), sum(x == row[i] for x in row)
        ranks.append(sum(range(ahead + 1, ahead + level + 1)) / level)
    return np.array(ranks)
""",
    "clip-vector": "pair_vector = lambda hidden: hidden.unflatten(1, (2, -1))[:, :, 0].mean(1)",
    "clip-mask": """
def without_twins(logits, sentences):
    logits = logits.clone()
    for i, one in enumerate(sentences):
        for j, other in enumerate(sentences):
            if i != j and one == other:
                logits[i, j] = -1e9
    return logits
""",
    "clip-master": "def master_step(master, step):\n    master += step\n    return master, master.to(torch.float16)",
    "clip-honest": """
import statistics


def honest(val, test):
    return [statistics.mean(test), statistics.stdev(test), test[val.index(max(val))]]
""",
    "clip-layers": """
def layerwise(picture, words, encoder, decoder):
    memories = []
    for layer in encoder:
        memories.append(layer(memories[-1] if memories else picture))
    for layer, memory in zip(decoder, memories):
        words = layer(words, memory)
    return words
""",
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_honest_other_way_is_right(
    exercise: str, begun: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(exercise, OTHERWISE[exercise], begun, capsys) == "right"


OWN = "    own = scores.diagonal()[:, None]\n"
HONEST = "    val, test = np.array(val), np.array(test)\n    return "
EQUAL = """
def without_twins(logits, sentences):
    twins = torch.tensor([[one == other for other in sentences] for one in sentences])
"""
LAYERS = """
def layerwise(picture, words, encoder, decoder):
    memories = [picture]
    for layer in encoder:
        memories.append(layer(memories[-1]))
    for layer, memory in zip(decoder, {}):
        words = layer(words, memory)
    return words
"""
MISTAKES = [
    ("clip-ranks", f"def fair_ranks(scores):\n{OWN}    (scores > own).sum(1)", "returns nothing"),
    ("clip-ranks", f"def fair_ranks(scores):\n{OWN}    return (scores > own).sum(1)", "count from 0"),
    (
        "clip-ranks",
        f"def fair_ranks(scores):\n{OWN}    return (scores > own).sum(1) + 1",
        "let every query win",
    ),
    (
        "clip-ranks",
        f"def fair_ranks(scores):\n{OWN}    return (scores >= own).sum(1)",
        "let every query lose",
    ),
    (
        "clip-ranks",
        f"def fair_ranks(scores):\n{OWN}    return (scores > own).sum(1) + 1 + (scores == own).sum(1) / 2",
        "without ties",
    ),
    (
        "clip-ranks",
        "def fair_ranks(scores):\n    return (scores > scores[0, 0]).sum() + 1",
        "one rank for each",
    ),
    (
        "clip-ranks",
        "def fair_ranks(scores):\n    order = scores.argsort(dim=1, descending=True, stable=True)\n"
        "    return (order == torch.arange(len(scores))[:, None]).nonzero()[:, 1] + 1",
        "happen to stand",
    ),
    ("clip-vector", "pair_vector = lambda hidden: hidden.mean(1)", "mean of all tokens"),
    (
        "clip-vector",
        "pair_vector = lambda hidden: (hidden[:, 0] + hidden[:, 50]) / 2",
        "here a picture has 37",
    ),
    ("clip-vector", "pair_vector = lambda hidden: hidden[:, 0]", "only the first"),
    ("clip-vector", "pair_vector = lambda hidden: (hidden[:, 0] + hidden[:, -1]) / 2", "the last token"),
    ("clip-vector", "pair_vector = lambda hidden: hidden[:, :2].mean(1)", "first two tokens"),
    (
        "clip-vector",
        "pair_vector = lambda hidden: hidden[:, 0] + hidden[:, hidden.shape[1] // 2]",
        "halve it",
    ),
    ("clip-vector", "pair_vector = lambda hidden: hidden[:, ::2].mean(2)", "is asked for"),
    ("clip-mask", f"{EQUAL}    return logits.masked_fill(twins, -math.inf)", "own pair must stay"),
    (
        "clip-mask",
        f"{EQUAL}    return logits.masked_fill(twins & ~torch.eye(len(twins), dtype=torch.bool), 0)",
        "0 is a similarity",
    ),
    (
        "clip-mask",
        f"{EQUAL}    return logits.masked_fill(twins.triu(1), -math.inf)",
        "some twins are still there",
    ),
    ("clip-mask", "without_twins = lambda logits, sentences: logits", "twins are still there"),
    (
        "clip-mask",
        f"{EQUAL}    logits[twins & ~torch.eye(len(twins), dtype=torch.bool)] = -math.inf\n    return logits",
        "work on a copy",
    ),
    (
        "clip-mask",
        f"{EQUAL}    keep = (twins.sum(1) == 1).nonzero()[:, 0]\n    return logits[keep][:, keep]",
        "shape stays",
    ),
    (
        "clip-master",
        "def master_step(master, step):\n    half = (master.half() + step.half())\n    return half.float(), half",
        "where they were",
    ),
    (
        "clip-master",
        "def master_step(master, step):\n    return master + step, (master + step).half().float()",
        "weights are float16",
    ),
    (
        "clip-master",
        "def master_step(master, step):\n    return (master + step).half(), (master + step).half()",
        "stays float32",
    ),
    (
        "clip-master",
        "def master_step(master, step):\n    return master - step, (master - step).half()",
        "subtracted",
    ),
    ("clip-master", "def master_step(master, step):\n    return (master + step).half()", "two things"),
    ("clip-honest", f"def honest(val, test):\n{HONEST}test.mean(), test.std(ddof=1), test.max()", "luck"),
    ("clip-honest", f"def honest(val, test):\n{HONEST}test.mean(), test.std(), test[val.argmax()]", "n - 1"),
    (
        "clip-honest",
        f"def honest(val, test):\n{HONEST}test.mean(), test.var(ddof=1), test[val.argmax()]",
        "variance",
    ),
    (
        "clip-honest",
        f"def honest(val, test):\n{HONEST}test.mean(), test.std(ddof=1) / len(test) ** 0.5, test[val.argmax()]",
        "standard error",
    ),
    (
        "clip-honest",
        f"def honest(val, test):\n{HONEST}val.mean(), test.std(ddof=1), test[val.argmax()]",
        "mean on val",
    ),
    (
        "clip-honest",
        f"def honest(val, test):\n{HONEST}test.mean(), test.std(ddof=1), val.max()",
        "score on val",
    ),
    ("clip-layers", LAYERS.format("memories[-1:] * len(decoder)"), "usual decoder"),
    ("clip-layers", LAYERS.format("memories"), "one too early"),
    ("clip-layers", LAYERS.format("memories[:0:-1]"), "wrong way round"),
    ("clip-layers", LAYERS.format("memories[:1] * len(decoder)"), "SCORER's decoder"),
    (
        "clip-layers",
        LAYERS.format("[layer(picture) for layer in encoder]"),
        "began with H anew",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), MISTAKES, ids=[each[2] for each in MISTAKES])
def test_a_mistake_is_named(
    exercise: str, answer: str, words: str, begun: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    said = verdict(exercise, answer, begun, capsys)
    assert said.startswith("not right yet: ") and words in said
