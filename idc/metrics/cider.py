"""CIDEr-D in tensors: fast enough to be a reward.

Vedantam et al. 2015, in their variant CIDEr-D, as pycocoevalcap computes it. With h_n(c)[w] the number of times caption
c has the n-gram w, N images, and df(w) the number of images that have w in a reference,

    g_n(c)[w] = h_n(c)[w] (log N - log max(1, df(w)))
    sim_n(c, r) = min(g_n(c), g_n(r)) . g_n(r) / (|g_n(c)| |g_n(r)|) exp(-(l(c) - l(r))^2 / (2 6^2))
    CIDEr-D(c) = 10 mean_n mean_r sim_n(c, r),   n = 1 ... 4, r the references of c's image

where l counts bigrams, not words. Captions are tokenized strings: words separated by spaces.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from idc.errors import UserError

N = 4
SIGMA = 6.0
BITS = 15  # of a word in a packed n-gram; four words fit into 64 bits
MOST_WORDS = 2**BITS - 1


class Cider:
    """Scores candidates against the references of images, whose statistics are computed once.

    references: for every image its captions, at least one.
    Raises UserError for an image without references and for more than 32,767 different words.
    """

    def __init__(self, references: Sequence[Sequence[str]]):
        if not all(references):
            bare = next(n for n, captions in enumerate(references) if not captions)
            raise UserError(
                f"image {bare} has no reference caption, but every image needs one; leave it out."
            )
        self.words: dict[str, int] = {}  # from 1; 0 is padding
        count = torch.tensor([len(captions) for captions in references])
        self.reference_count = count
        self.first = count.cumsum(0) - count  # of an image's references
        owner = torch.arange(len(count)).repeat_interleave(count)
        number = torch.arange(len(owner)) - self.first[owner]  # among the references of its image
        ids = self.encode([text for captions in references for text in captions], self.words)
        caption, gram = n_grams(ids)
        # The empty n-gram stands first, so that there is always one to look up.
        self.grams, place = torch.cat([gram, gram.new_zeros(1)]).unique(return_inverse=True)
        total, most = len(self.grams), int(count.max())
        # Sorted by image, n-gram and reference, so that all references of an image that have an n-gram stand together.
        entry = (owner * total * most + number)[caption] + place[:-1] * most
        entry, frequency = entry.unique(return_counts=True)
        code = entry // most
        place = code % total
        self.caption = self.first[code // total] + entry % most
        met, having = code.unique_consecutive(return_counts=True)
        # An n-gram of nobody stands first, here, too.
        self.code, self.having = F.pad(met, (1, 0), value=-1), F.pad(having, (1, 0))
        self.begin = self.having.cumsum(0) - self.having
        images = torch.bincount(met % total, minlength=total).clamp(min=1)
        self.log_images = torch.tensor(float(len(count)), dtype=torch.float64).log()
        self.idf = self.log_images - images.double().log()
        self.weight = frequency * self.idf[place]
        self.norm = norms(self.caption, order(self.grams)[place], self.weight, len(ids))
        self.bigrams = bigram_counts(ids)

    def encode(self, captions: Sequence[str], words: dict[str, int]) -> Int[Tensor, "C L"]:
        """Word numbers, 0 behind the end; new words are numbered and put into `words`."""
        rows = [text.split() for text in captions]
        said = list(itertools.chain.from_iterable(rows))
        numbering = defaultdict(itertools.count(len(words) + 1).__next__, words)
        numbers = np.fromiter(map(numbering.__getitem__, said), np.int64, len(said))
        words |= numbering
        if len(words) > MOST_WORDS:
            raise UserError(
                f"{len(words)} different words came, but only {MOST_WORDS} can be numbered; score fewer images at once."
            )
        length = np.array(list(map(len, rows)))
        ids = np.zeros((len(rows), max(N, length.max())), np.int64)
        ids[np.arange(ids.shape[1]) < length[:, None]] = numbers
        return torch.from_numpy(ids)

    def score(self, candidates: Sequence[str], images: Sequence[int] | Tensor) -> Float[Tensor, "C"]:
        """CIDEr-D of each candidate against the references of its image, as float64.

        images: for each candidate the number of its image, in the order of the references; any number of candidates
        may belong to an image. Raises UserError when the lengths differ or an image does not exist.
        """
        image = torch.as_tensor(images, dtype=torch.int64)
        if len(candidates) != len(image):
            raise UserError(f"{len(candidates)} candidates came with {len(image)} images; each needs one.")
        if not candidates:
            return torch.zeros(0, dtype=torch.float64)
        if image.min() < 0 or image.max() >= len(self.first):
            raise UserError(
                f"images {int(image.min())} to {int(image.max())} were asked for, but there are references of images 0 to "
                f"{len(self.first) - 1}; number images in the order of the references."
            )
        ids = self.encode(candidates, dict(self.words))
        caption, gram = n_grams(ids)
        grams, place = gram.unique(return_inverse=True)
        seen, frequency = (caption * len(grams) + place).unique(return_counts=True)
        caption, gram = seen // len(grams), grams[seen % len(grams)]
        known, place = find(self.grams, gram)
        weight = frequency * torch.where(known, self.idf[place], self.log_images)
        n = order(gram)
        norm = norms(caption, n, weight, len(ids))

        # Every n-gram of a candidate meets the references of its image that have it, too.
        meets, place = find(self.code, image[caption] * len(self.grams) + place)
        meetings = self.having[place] * (meets & known)
        own = torch.arange(len(place)).repeat_interleave(meetings)
        steps = torch.arange(len(own)) - (meetings.cumsum(0) - meetings)[own]
        other = self.begin[place][own] + steps
        product = torch.minimum(weight[own], self.weight[other]) * self.weight[other]

        # A pair is a candidate with one of its image's references.
        count = self.reference_count[image]
        first_pair = count.cumsum(0) - count
        candidate = torch.arange(len(ids)).repeat_interleave(count)
        reference = self.first[image][candidate] + torch.arange(len(candidate)) - first_pair[candidate]
        pair = first_pair[caption[own]] + self.caption[other] - self.first[image[caption[own]]]
        match = torch.zeros(len(candidate), N, dtype=torch.float64)
        match.view(-1).scatter_add_(0, pair * N + n[own], product)
        scale = norm[candidate] * self.norm[reference]
        match = torch.where(scale > 0, match / scale.where(scale > 0, 1), match)
        apart = (bigram_counts(ids)[candidate] - self.bigrams[reference]).double()
        match = match * torch.exp(-(apart**2) / (2 * SIGMA**2))[:, None]
        total = torch.zeros(len(ids), dtype=torch.float64).index_add_(0, candidate, match.mean(1))
        return 10 * total / count


def find(known: Int[Tensor, "K"], wanted: Int[Tensor, "E"]) -> tuple[Tensor, Int[Tensor, "E"]]:
    """Whether numbers are among the known ones, which ascend, and their places there (any place, if not)."""
    place = torch.searchsorted(known, wanted).clamp(max=len(known) - 1)
    return known[place] == wanted, place


def n_grams(ids: Int[Tensor, "C L"]) -> tuple[Int[Tensor, "E"], Int[Tensor, "E"]]:
    """All n-grams of 1 to 4 words, packed into integers, and the captions they are in."""
    captions, grams = [], []
    packed = torch.zeros_like(ids)
    for n in range(N):
        length = ids.shape[1] - n
        packed = packed[:, :length] | (ids[:, n:] << (BITS * n))
        caption, start = (ids[:, n:] != 0).nonzero(as_tuple=True)
        captions.append(caption)
        grams.append(packed[caption, start])
    return torch.cat(captions), torch.cat(grams)


def order(gram: Int[Tensor, "E"]) -> Int[Tensor, "E"]:
    """n - 1 of packed n-grams."""
    return sum((gram >= 1 << (BITS * n)).long() for n in range(1, N))  # type: ignore[return-value]


def norms(
    caption: Int[Tensor, "E"], n: Int[Tensor, "E"], weight: Float[Tensor, "E"], captions: int
) -> Float[Tensor, "C 4"]:
    """|g_n| of every caption."""
    squares = torch.zeros(captions * N, dtype=torch.float64)
    return squares.scatter_add_(0, caption * N + n, weight**2).view(captions, N).sqrt()


def bigram_counts(ids: Int[Tensor, "C L"]) -> Int[Tensor, "C"]:
    return ((ids != 0).sum(1) - 1).clamp(min=0)
