"""From the words of the data to the ids CLIP reads, and from the ids the captioner says to a sentence."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from idc.captioner.search import Special
from idc.data.layout import some
from idc.data.vocabulary import Vocabulary

log = logging.getLogger(__name__)


class Language(ABC):
    """CLIP's ids. special: those that are no words. size: V, how many ids there are."""

    special: Special
    size: int

    @abstractmethod
    def encode(self, words: list[int]) -> list[int]:
        """The ids of one sentence of the data, START and END on neither side."""

    @abstractmethod
    def text(self, ids: Sequence[int]) -> str:
        """The sentence that ids up to END, or to the first padding, say."""

    def from_data(self, words: Int[Tensor, "B L"], length: int) -> Int[Tensor, "B l"]:
        """Sentences in the data's ids, START … END, as CLIP's: START, as much as fits, END; padded.

        l is the longest of them, at most `length`.
        """
        start, end = self.special.start, self.special.end
        rows = [[start, *self.encode(row)[: length - 2], end] for row in words.tolist()]
        longest = max(map(len, rows))
        padded = [row + [self.special.null] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, device=words.device)


class WordLanguage(Language):
    """A CLIP with a vocabulary of whole words. Words of the data that it lacks become <UNK>, and it never says them.

    own: CLIP's words. data: those of the batches.
    """

    def __init__(self, own: Vocabulary, data: Vocabulary):
        self.own, self.size, self.special = own, len(own), Special()
        self.number = [own.index.get(word, own.UNK) for word in data.words]
        self.strange = sorted(word for word in data.words if word not in own)
        if self.strange:
            log.warning(
                "CLIP's vocabulary lacks %d of the data's %d words (%s); captions will not hold them.",
                len(self.strange),
                len(data),
                some(self.strange),
            )

    def encode(self, words: list[int]) -> list[int]:
        left_out = (Vocabulary.NULL, Vocabulary.START, Vocabulary.END)
        return [self.number[word] for word in words if word not in left_out]

    def text(self, ids: Sequence[int]) -> str:
        return self.own.decode(ids)


class BpeLanguage(Language):
    """The published CLIP's byte pairs: a word is one id or more, <UNK> none. Padding is 0, as published, which says “!”."""

    def __init__(self, data: Vocabulary):
        from open_clip import SimpleTokenizer

        self.data, self.tokenizer = data, SimpleTokenizer()
        self.size = self.tokenizer.vocab_size
        self.special = Special(0, None, self.tokenizer.sot_token_id, self.tokenizer.eot_token_id)
        self.known: dict[str, list[int]] = {}  # sentences come again and again

    def encode(self, words: list[int]) -> list[int]:
        sentence = self.data.decode(word for word in words if word != Vocabulary.UNK)
        if sentence not in self.known:
            self.known[sentence] = self.tokenizer.encode(sentence)
        return self.known[sentence]

    def text(self, ids: Sequence[int]) -> str:
        said = list(ids)
        for ending in (self.special.end, self.special.null):
            said = said[: said.index(ending)] if ending in said else said
        return self.tokenizer.decode([number for number in said if number != self.special.start]).strip()
