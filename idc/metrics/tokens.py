"""Captions as the field's scorers want them: lower case, without punctuation, words separated by single spaces.

The Penn Treebank tokenizer is a Java program that takes a second to start. It is asked only about what it has not seen:
captions with signs in them as a whole, and captions that are nothing but English letters and spaces word by word,
because it splits such words without a look at their neighbours (“cannot” is “can not” wherever it stands).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from idc.metrics.java import java
from idc.metrics.memory import Memory

PLAIN = re.compile(r"[A-Za-z ]*")
LINE_END = re.compile(r"[\n\r\v\f\u2028\u2029]")  # what ends a line for the Java program
seen: Memory[str, str] = Memory(100_000)  # a word or a caption -> its tokens


def split(captions: Sequence[str]) -> list[str]:
    """Without a tokenizer: lower case, split at white space."""
    return [" ".join(caption.lower().split()) for caption in captions]


def penn_treebank(captions: Sequence[str]) -> list[str]:
    """The tokens of each caption, separated by spaces, as pycocoevalcap's PTBTokenizer gives them for this list.

    A line break within a caption counts as a space. Where a caption ends in a period, the beginning of the next one
    decides whether that belongs to an abbreviation (“plan B.”), so such captions are remembered with the next one.
    """
    lines = [LINE_END.sub(" ", caption) for caption in captions]
    rows = [
        line.split(" ") if PLAIN.fullmatch(line) else [f"{line}\n{after}" if line.endswith(".") else line]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
    ]
    tokens = iter(seen.recall([part for row in rows for part in row], run))
    return [" ".join(filter(None, [next(tokens) for _ in row])) for row in rows]


def run(texts: Sequence[str]) -> list[str]:
    """The tokens of each text's first line, from one run of the Java program."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    with java(), unclosed_pipes():
        wrapped = {n: [{"caption": line} for line in text.split("\n")] for n, text in enumerate(texts)}
        result = PTBTokenizer().tokenize(wrapped)
    return [result[n][0] for n in range(len(texts))]


@contextmanager
def unclosed_pipes() -> Iterator[None]:
    """pycocoevalcap leaves pipes open for the garbage collector; that is not the caller's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
