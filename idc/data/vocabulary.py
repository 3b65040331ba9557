"""Words and their numbers, exactly as in the published label files.

Ids: <NULL> 0, <UNK> 1, <START> 2, <END> 3, then the words in alphabetical order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from idc.errors import UserError
from idc.files import atomic_write

SPECIAL = ("<NULL>", "<UNK>", "<START>", "<END>")


def tokenize(sentence: str) -> list[str]:
    """Split on single spaces; ";" and "," are tokens of their own, "?" and "." are removed.

    A stray space (two in a row, one at an end) therefore gives an empty token, as in the published label
    files, whose numbering must be met whatever the captions hold.
    """
    for mark in ";,":
        sentence = sentence.replace(mark, f" {mark}")
    for mark in "?.":
        sentence = sentence.replace(mark, "")
    return sentence.split(" ")


class Vocabulary:
    """A two-way table of words and ids.

    words: every word, special ones first; the position is the id. Raises UserError unless the first four
    are <NULL>, <UNK>, <START>, <END> and no word occurs twice.
    """

    NULL: ClassVar[int] = 0
    UNK: ClassVar[int] = 1
    START: ClassVar[int] = 2
    END: ClassVar[int] = 3

    def __init__(self, words: Iterable[str]):
        self.words = tuple(words)
        self.index = {word: number for number, word in enumerate(self.words)}
        if self.words[:4] != SPECIAL:
            raise UserError(
                f"a vocabulary begins with {', '.join(SPECIAL)}; this one with {self.words[:4]}. "
                "Make it with preprocess_captions.py, or take a published transformer_vocab.json."
            )
        if len(self.index) != len(self.words):
            twice = next(word for number, word in enumerate(self.words) if self.index[word] != number)
            raise UserError(f"the word “{twice}” stands in the vocabulary twice; remove one.")

    @classmethod
    def from_sentences(cls, sentences: Iterable[str]) -> Vocabulary:
        """The vocabulary of these sentences."""
        words = {word for sentence in sentences for word in tokenize(sentence)}
        return cls((*SPECIAL, *sorted(words - set(SPECIAL))))

    @classmethod
    def from_json(cls, path: str | Path) -> Vocabulary:
        """Read {word: id}. Raises UserError when the file is missing or the ids are not 0 … V - 1."""
        path = Path(path)
        if not path.is_file():
            raise UserError(
                f"the vocabulary {path} is missing; `python data_scripts/preprocess_captions.py --root "
                f"{path.parent}` makes it."
            )
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            words = [word for word, _ in sorted(index.items(), key=lambda entry: entry[1])]
            numbers = sorted(index.values())
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is not a JSON object of words and ids ({error}); make it anew."
            ) from error
        if numbers != list(range(len(words))):
            raise UserError(f"the ids in {path} are not 0 … {len(words) - 1}, each once; make the file anew.")
        return cls(words)

    def to_json(self, path: str | Path) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.index) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int | None = None) -> list[int]:
        """START, the words' ids (UNK for strangers), END; padded with 0 to `length` if given.

        Raises UserError for an empty sentence, for one longer than `length` and for one that holds the
        words <NULL>, <START> or <END>.
        """
        tokens = tokenize(sentence)
        if not any(tokens):
            raise UserError(f"the caption “{sentence}” has no words; remove it or write one.")
        if reserved := {"<NULL>", "<START>", "<END>"}.intersection(tokens):
            raise UserError(f"the caption “{sentence}” holds {min(reserved)}, a reserved word; rewrite it.")
        ids = [self.START, *(self.index.get(token, self.UNK) for token in tokens), self.END]
        if length is None:
            return ids
        if len(ids) > length:
            raise UserError(
                f"the caption “{sentence}” has {len(ids)} tokens with START and END, more than {length}; "
                "raise the maximal length."
            )
        return ids + [self.NULL] * (length - len(ids))

    def decode(self, ids: Iterable[int]) -> str:
        """The words up to END joined by spaces; NULL and START are left out, UNK is written <UNK>.

        Raises UserError for an id that the vocabulary does not have.
        """
        words = []
        for number in map(int, ids):
            if number == self.END:
                break
            if not 0 <= number < len(self.words):
                raise UserError(
                    f"id {number} is not in this vocabulary of {len(self.words)} words; it belongs to other labels or "
                    "to another snapshot. Take the vocabulary that was made together with them."
                )
            if number not in (self.NULL, self.START):
                words.append(self.words[number])
        return " ".join(words)
