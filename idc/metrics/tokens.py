"""Captions as the field's scorers want them: lower case, without punctuation, words separated by single spaces.

The Penn Treebank tokenizer is a Java program that takes a second to start. It is asked only about what it has not seen:
sentences with signs in them as a whole, and for sentences that are nothing but English letters and spaces the words one
by one, because it splits such words without a look at their neighbours (“cannot” is “can not” wherever it stands).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from idc.metrics.java import java
from idc.metrics.memory import Memory

PLAIN = re.compile(r"[A-Za-z ]*")
seen: Memory[str, str] = Memory(200_000)  # a word, or a sentence with signs -> its tokens


def split(caption: str) -> str:
    """Without a tokenizer: lower case, split at white space."""
    return " ".join(caption.lower().split())


def penn_treebank(captions: Sequence[str]) -> list[str]:
    """The tokens of each caption, separated by spaces, as pycocoevalcap's PTBTokenizer gives them."""
    parts = [caption.split(" ") if PLAIN.fullmatch(caption) else [caption] for caption in captions]
    new = list(dict.fromkeys(part for row in parts for part in row if part and part not in seen))
    fresh = dict(zip(new, run(new), strict=True)) if new else {}
    known = {part: fresh[part] if part in fresh else seen[part] for row in parts for part in row if part}
    seen.update(fresh.items())
    return [" ".join(tokens for part in row if part and (tokens := known[part])) for row in parts]


def run(texts: Sequence[str]) -> list[str]:
    """One run of the Java program."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    with java(), unclosed_pipes():
        result = PTBTokenizer().tokenize({n: [{"caption": text}] for n, text in enumerate(texts)})
    return [result[n][0] for n in range(len(texts))]


@contextmanager
def unclosed_pipes() -> Iterator[None]:
    """pycocoevalcap leaves pipes open for the garbage collector; that is not the caller's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
