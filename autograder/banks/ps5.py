"""Problem set 5: what proves it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.checks.exercise import Bank
from idc.pieces.attention import join_heads, split_heads
from idc.pieces.cbr import CrossModalBackwardReasoning, Hallucination, joint_loss, sentence_vector
from idc.pieces.infonce import info_nce
from idc.pieces.matching import token_matching

# ps5.1, wrong


def total(words: Tensor, word_mask: Tensor) -> Tensor:
    return (words * word_mask[..., None]).sum(1)


def count(word_mask: Tensor) -> Tensor:
    return word_mask.sum(1, keepdim=True).clamp(min=1)


def padding(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return words.mean(1) if mean == "length" else words.sum(1) / count(word_mask)


def inverted(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return sentence_vector(words, ~word_mask, mean)


def mask_axis(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    masked = (words * word_mask[:, None]).sum(1)
    return masked / words.shape[1] if mean == "length" else masked / count(word_mask)


def over_width(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    masked = (words * word_mask[..., None]).sum(-1)
    return masked / words.shape[1] if mean == "length" else masked / count(word_mask)


def modes(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return sentence_vector(words, word_mask, "words" if mean == "length" else "length")


def batch_mean(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    if mean == "length":
        return total(words, word_mask) / words.shape[1]
    return total(words, word_mask) / word_mask.sum(1).to(words.dtype).mean()


def longest(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    divisor = word_mask.sum(1).max() if mean == "length" else count(word_mask)
    return total(words, word_mask) / divisor


def added(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return total(words, word_mask)


def maximum(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return words.masked_fill(~word_mask[..., None], -torch.inf).amax(1)


def last_word(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return words[torch.arange(len(words)), word_mask.sum(1) - 1]


def empty(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    divisor = words.shape[1] if mean == "length" else word_mask.sum(1, keepdim=True)
    return total(words, word_mask) / divisor


def detached(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    return sentence_vector(words.detach(), word_mask, mean)


def overwritten(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    words[~word_mask] = 0
    return words.mean(1) if mean == "length" else words.sum(1) / count(word_mask)


# ps5.1, honest


def one_by_one(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    vectors = []
    for states, stands in zip(words, word_mask, strict=True):
        spoken = states[stands]
        divisor = len(states) if mean == "length" else max(len(spoken), 1)
        vectors.append(spoken.sum(0) / divisor)
    return torch.stack(vectors)


def by_einsum(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    share = word_mask.to(words.dtype)
    share = share / (share.shape[1] if mean == "length" else share.sum(1, keepdim=True).clamp_min(1))
    return torch.einsum("bl,bld->bd", share, words)


def by_matmul(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    summed = (word_mask.to(words.dtype)[:, None] @ words).squeeze(1)
    if mean == "length":
        return summed / words.size(1)
    return summed / torch.maximum(word_mask.sum(-1, keepdim=True), torch.tensor(1))


def on_a_copy(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    work = words.clone()
    work[~word_mask] = 0
    if mean == "length":
        return work.mean(dim=1)
    return work.sum(dim=1).div_(count(word_mask))


def vector_in_double(words: Tensor, word_mask: Tensor, mean: str = "length") -> Tensor:
    wide = torch.where(word_mask.unsqueeze(-1), words.double(), 0.0)
    divisor = float(words.shape[1]) if mean == "length" else count(word_mask).double()
    return (wide.sum(1) / divisor).to(words.dtype)


class SentenceVector(nn.Module):
    def forward(self, states: Tensor, stands: Tensor, kind: str = "length") -> Tensor:
        return sentence_vector(states, stands, kind)


# ps5.2


class Steps(Hallucination):
    """The reference in steps, each of which a wrong one gets wrong."""

    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return self.merge(torch.cat([before, sentence[:, None].expand_as(before)], dim=-1))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return query, key, value

    def joined(self, context: Tensor) -> Tensor:
        return join_heads(context)

    def context(self, x: Tensor) -> Tensor:
        context, _ = self.attend(*self.parts(x))
        return self.joined(context)

    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.imagine(self.out(context))

    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        x = self.merged(before, sentence)
        return self.last(x, self.context(x))


class SentenceFirst(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return self.merge(torch.cat([sentence[:, None].expand_as(before), before], dim=-1))


class SentenceAdded(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return before + sentence[:, None]


class FirstToken(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        beside = torch.zeros_like(before)
        beside[:, 0] = sentence
        return self.merge(torch.cat([before, beside], dim=-1))


class WithActivation(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return super().merged(before, sentence).relu()


class OtherChunks(Steps):
    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key, query, value = super().parts(x)
        return query, key, value


class ValuesFirst(Steps):
    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, value, key = super().parts(x)
        return query, key, value


class Interleaved(Steps):
    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.qkv(x).unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        return query, key, value


class OneHead(Steps):
    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.qkv(x)[:, None].chunk(3, dim=-1)
        return query, key, value


class JoinedCrosswise(Steps):
    def joined(self, context: Tensor) -> Tensor:
        return context.reshape(context.shape[0], context.shape[2], -1)


class NobodyTalks(Steps):
    def context(self, x: Tensor) -> Tensor:
        return x


class OverTheBatch(Steps):
    def context(self, x: Tensor) -> Tensor:
        return super().context(x.transpose(0, 1)).transpose(0, 1)


class WithPlaces(Steps):
    """Position encodings that nobody asked for."""

    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        places = torch.arange(before.shape[1], dtype=before.dtype)[:, None]
        return super().merged(before + 0.1 * places, sentence)


class WithoutOut(Steps):
    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.imagine(context)


class WithoutImagine(Steps):
    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.out(context)


class Swapped(Steps):
    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.out(self.imagine(context))


class WithResidual(Steps):
    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.imagine(x + self.out(context))


class InnerResidual(Steps):
    def last(self, x: Tensor, context: Tensor) -> Tensor:
        return self.imagine(self.out(x + context))


class KeepsPicture(Steps):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        return before + super().hallucinate(before, sentence)


class Deaf(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return self.merge(torch.cat([before, torch.zeros_like(before)], dim=-1))


class SentenceDetached(Steps):
    def merged(self, before: Tensor, sentence: Tensor) -> Tensor:
        return super().merged(before, sentence.detach())


class WritesIntoPicture(Steps):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        result = super().hallucinate(before, sentence)
        before += sentence[:, None]
        return result


# ps5.2, honest


class HeadByHead(Hallucination):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        pictures = []
        for tokens, said in zip(before, sentence, strict=True):
            x = torch.stack([self.merge(torch.cat([token, said])) for token in tokens])
            query, key, value = self.qkv(x).split(x.shape[-1], dim=-1)
            width = x.shape[-1] // self.heads
            heads = []
            for start in range(0, x.shape[-1], width):
                part = slice(start, start + width)
                scores = query[:, part] @ key[:, part].T / width**0.5
                heads.append(scores.softmax(dim=1) @ value[:, part])
            pictures.append(self.imagine(self.out(torch.cat(heads, dim=-1))))
        return torch.stack(pictures)


class ByTorch(Hallucination):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        beside = sentence.unsqueeze(1).repeat(1, before.shape[1], 1)
        x = self.qkv(self.merge(torch.cat((before, beside), 2)))
        query, key, value = x.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(query, key, value)
        return self.imagine(self.out(context.transpose(1, 2).flatten(2)))


class ByEinsum(Hallucination):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        of_picture, of_sentence = self.merge.weight.chunk(2, dim=1)
        x = before @ of_picture.T + (sentence @ of_sentence.T + self.merge.bias)[:, None]
        query, key, value = torch.einsum(
            "bnd,khed->kbhne", x, self.qkv.weight.unflatten(0, (3, self.heads, -1))
        )
        scores = torch.einsum("bhie,bhje->bhij", query, key) / query.shape[-1] ** 0.5
        context = torch.einsum("bhij,bhje->bihe", scores.softmax(-1), value).flatten(2)
        return F.linear(context, self.imagine.weight @ self.out.weight, self.imagine.bias)


class ByMultiheadAttention(Hallucination):
    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        x = self.merge(torch.cat([before, sentence[:, None].expand_as(before)], dim=-1)).transpose(0, 1)
        dim = x.shape[-1]
        context, _ = F.multi_head_attention_forward(
            x, x, x, dim, self.heads, self.qkv.weight, None, None, None, False, 0.0, self.out.weight, None,
            training=False, need_weights=False,
        )  # fmt: skip
        return self.imagine(context.transpose(0, 1))


class InDouble(Hallucination):
    def hallucinate(self, picture: Tensor, told: Tensor) -> Tensor:
        kind = picture.dtype
        wide = self.double()
        result = Hallucination.hallucinate(wide, picture.double(), told.double())
        return result.to(kind)


# ps5.3


class Reasoning(CrossModalBackwardReasoning):
    """The reference in steps, each of which a wrong one gets wrong."""

    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        return sentence_vector(words, word_mask, self.sentence_mean)

    def imagined(self, before: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        return self.hallucinate(before, self.vector(words, word_mask))

    def factor(self) -> Tensor:
        return self.logit_scale.exp()

    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.matching(self.query(imagined), self.key(after))

    def loss(self, similarity: Tensor) -> Tensor:
        return (info_nce(similarity) + info_nce(similarity.T)) / 2

    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        return self.loss(self.factor() * self.compared(self.imagined(before, words, word_mask), after))


class OneDirection(Reasoning):
    def loss(self, similarity: Tensor) -> Tensor:
        return info_nce(similarity)


class ColumnsOnly(Reasoning):
    def loss(self, similarity: Tensor) -> Tensor:
        return info_nce(similarity.T)


class Summed(Reasoning):
    def loss(self, similarity: Tensor) -> Tensor:
        return info_nce(similarity) + info_nce(similarity.T)


class TurnedRound(Reasoning):
    def loss(self, similarity: Tensor) -> Tensor:
        return -super().loss(similarity)


class ScaleAsItIs(Reasoning):
    def factor(self) -> Tensor:
        return self.logit_scale


class NoScale(Reasoning):
    def factor(self) -> Tensor:
        return torch.ones_like(self.logit_scale)


class WithBefore(Reasoning):
    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        return super().forward(before, words, word_mask, before)


class RawAfter(Reasoning):
    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.matching(self.query(imagined), after)


class RawImagined(Reasoning):
    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.matching(imagined, self.key(after))


class Unprojected(Reasoning):
    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.matching(imagined, after)


class Exchanged(Reasoning):
    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.matching(self.key(imagined), self.query(after))


class Pooled(Reasoning):
    def compared(self, imagined: Tensor, after: Tensor) -> Tensor:
        return self.query(imagined).mean(1) @ self.key(after).mean(1).T


class NoMask(Reasoning):
    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        return sentence_vector(words, torch.ones_like(word_mask), self.sentence_mean)


class MeanIgnored(Reasoning):
    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        return sentence_vector(words, word_mask)


class MeanFixed(Reasoning):
    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        return sentence_vector(words, word_mask, "words")


class SecondMatching(Reasoning):
    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        imagined = self.imagined(before, words, word_mask)
        there, back = self.compared(imagined, after), self.compared(after, imagined)
        return (info_nce(self.factor() * there) + info_nce(self.factor() * back)) / 2


class Distance(Reasoning):
    """The mean square difference of the two pictures."""

    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        return F.mse_loss(self.query(self.imagined(before, words, word_mask)), self.key(after))


class Wordless(Reasoning):
    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        return torch.zeros_like(words[:, 0])


class Detached(Reasoning):
    def imagined(self, before: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        return super().imagined(before, words, word_mask).detach()


class WritesIntoWords(Reasoning):
    def vector(self, words: Tensor, word_mask: Tensor) -> Tensor:
        words[~word_mask] = 0
        return super().vector(words, word_mask)


# ps5.3, honest


class ByCrossEntropy(CrossModalBackwardReasoning):
    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        said = sentence_vector(words, word_mask, self.sentence_mean)
        marks = self.matching(self.query(self.hallucinate(before, said)), self.key(after))
        marks = marks * torch.exp(self.logit_scale)
        right = torch.arange(len(marks), device=marks.device)
        return 0.5 * F.cross_entropy(marks, right) + 0.5 * F.cross_entropy(marks.T, right)


class RealPicturesAsk(CrossModalBackwardReasoning):
    """The transposed matrix, the same two questions in the other order."""

    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        imagined = self.hallucinate(before, sentence_vector(words, word_mask, self.sentence_mean))
        similarity = token_matching(self.key(after), self.query(imagined)) * self.logit_scale.exp()
        return torch.stack([info_nce(similarity), info_nce(similarity.mT)]).mean()


class PairByPair(CrossModalBackwardReasoning):
    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        imagined = self.hallucinate(before, sentence_vector(words, word_mask, self.sentence_mean))
        query, key = self.query(imagined), self.key(after)
        rows = []
        for mine in query:
            fits = [mine @ theirs.T for theirs in key]
            rows.append(torch.stack([(e.amax(0).mean() + e.amax(1).mean()) / 2 for e in fits]))
        chances = self.logit_scale.exp() * torch.stack(rows)
        both = chances.log_softmax(0).diagonal() + chances.log_softmax(1).diagonal()
        return -both.mean() / 2


class InPlaceStyle(CrossModalBackwardReasoning):
    def forward(self, picture: Tensor, states: Tensor, stands: Tensor, goal: Tensor) -> Tensor:
        work = states.clone()
        work[~stands] = 0
        divisor = stands.sum(1, keepdim=True) if self.sentence_mean == "words" else stands.shape[1]
        imagined = self.hallucinate(picture, work.sum(1) / divisor)
        similarity = torch.mul(self.matching(self.query(imagined), self.key(goal)), self.logit_scale.exp())
        loss = info_nce(similarity)
        loss = loss + info_nce(similarity.transpose(0, 1))
        return loss.mul(0.5)


class OwnLayers(nn.Module):
    """The same layers in a class of its own, made in another order."""

    def __init__(self, dim: int, heads: int, sentence_mean: str = "length", matching: object = None):
        super().__init__()
        self.heads, self.sentence_mean = heads, sentence_mean
        self.logit_scale = nn.Parameter(torch.ones(()))
        self.key, self.query = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.imagine, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.merge, self.qkv = nn.Linear(2 * dim, dim), nn.Linear(dim, 3 * dim, bias=False)

    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        sentence = sentence_vector(words, word_mask, self.sentence_mean)
        x = self.merge(torch.cat([before, sentence[:, None].expand_as(before)], -1))
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        context = join_heads(F.scaled_dot_product_attention(query, key, value))
        imagined = self.query(self.imagine(self.out(context)))
        similarity = self.logit_scale.exp() * token_matching(imagined, self.key(after))
        return (info_nce(similarity) + info_nce(similarity.T)) / 2


# ps5.4

Parts = Mapping[str, Tensor]
Weights = Mapping[str, float]


def weighted(parts: Parts, weights: Weights) -> dict[str, Tensor]:
    return {name: weights[name] * part for name, part in parts.items() if weights[name]}


def unweighted(parts: Parts, weights: Weights) -> Tensor:
    return torch.stack(list(parts.values())).sum()


def normalised(parts: Parts, weights: Weights) -> Tensor:
    return joint_loss(parts, weights) / sum(weights[name] for name in parts)


def averaged(parts: Parts, weights: Weights) -> Tensor:
    return joint_loss(parts, weights) / len(parts)


def by_order(parts: Parts, weights: Weights) -> Tensor:
    pairs = zip(parts.values(), weights.values(), strict=False)
    return torch.stack([weight * part for part, weight in pairs]).sum()


def caption_only(parts: Parts, weights: Weights) -> Tensor:
    return weights["caption"] * parts["caption"]


def zero_times_inf(parts: Parts, weights: Weights) -> Tensor:
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def hides_infinity(parts: Parts, weights: Weights) -> Tensor:
    kept = [weights[name] * part for name, part in parts.items() if part.isfinite()]
    return torch.stack(kept).sum()


def by_item(parts: Parts, weights: Weights) -> Tensor:
    found = sum(part.item() for part in weighted(parts, weights).values())
    return torch.tensor(found, dtype=torch.float64)


def in_place(parts: Parts, weights: Weights) -> Tensor:
    for name, part in parts.items():
        if weights[name]:
            part *= weights[name]
    return torch.stack([part for name, part in parts.items() if weights[name]]).sum()


# ps5.4, honest


def by_loop(parts: Parts, weights: Weights) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for name in parts:
        if weights[name] != 0:
            total = total + parts[name] * weights[name]
    return total


def by_sum(losses: Parts, factors: Weights) -> Tensor:
    kept = (factors[name] * loss for name, loss in losses.items() if factors[name])
    return sum(kept, start=torch.tensor(0.0))


def by_dot(parts: Parts, weights: Weights) -> Tensor:
    names = [name for name in parts if weights[name]]
    values = torch.stack([parts[name] for name in names])
    return values @ torch.tensor([weights[name] for name in names], dtype=values.dtype)


def by_where(parts: Parts, weights: Weights) -> Tensor:
    return torch.stack(
        [
            torch.where(torch.tensor(weights[name] == 0), torch.zeros_like(part), weights[name] * part)
            for name, part in parts.items()
        ]
    ).sum()


BANKS = {
    "ps5.1": Bank(
        right=sentence_vector,
        wrong={
            "padding": padding,
            "inverted": inverted,
            "mask-axis": mask_axis,
            "width": over_width,
            "modes": modes,
            "batch-mean": batch_mean,
            "longest": longest,
            "sum": added,
            "maximum": maximum,
            "last": last_word,
            "empty": empty,
            "no-gradient": detached,
            "changes-input": overwritten,
        },
        honest={
            "loop": one_by_one,
            "einsum": by_einsum,
            "matmul": by_matmul,
            "in-place on a copy": on_a_copy,
            "float64 inside": vector_in_double,
            "a module, other argument names": SentenceVector(),
        },
    ),
    "ps5.2": Bank(
        right=Hallucination,
        wrong={
            "order": SentenceFirst,
            "added": SentenceAdded,
            "first-token": FirstToken,
            "activation": WithActivation,
            "chunks": OtherChunks,
            "values-first": ValuesFirst,
            "interleaved": Interleaved,
            "heads": OneHead,
            "joined": JoinedCrosswise,
            "no-attention": NobodyTalks,
            "batch": OverTheBatch,
            "token-order": WithPlaces,
            "no-out": WithoutOut,
            "no-imagine": WithoutImagine,
            "swapped": Swapped,
            "residual": WithResidual,
            "inner-residual": InnerResidual,
            "keeps-picture": KeepsPicture,
            "deaf": Deaf,
            "no-gradient": SentenceDetached,
            "changes-input": WritesIntoPicture,
        },
        honest={
            "in steps": Steps,
            "loop": HeadByHead,
            "F.scaled_dot_product_attention": ByTorch,
            "einsum": ByEinsum,
            "F.multi_head_attention_forward": ByMultiheadAttention,
            "float64 inside, other argument names": InDouble,
        },
    ),
    "ps5.3": Bank(
        right=CrossModalBackwardReasoning,
        wrong={
            "one-direction": OneDirection,
            "columns-only": ColumnsOnly,
            "sum": Summed,
            "sign": TurnedRound,
            "scale": ScaleAsItIs,
            "no-scale": NoScale,
            "before": WithBefore,
            "raw-after": RawAfter,
            "raw-imagined": RawImagined,
            "unprojected": Unprojected,
            "exchanged": Exchanged,
            "pooled": Pooled,
            "mask": NoMask,
            "mean-ignored": MeanIgnored,
            "mean-fixed": MeanFixed,
            "second-matching": SecondMatching,
            "contest": Distance,
            "sentence": Wordless,
            "no-gradient": Detached,
            "changes-input": WritesIntoWords,
        },
        honest={
            "in steps": Reasoning,
            "F.cross_entropy": ByCrossEntropy,
            "transposed": RealPicturesAsk,
            "loop": PairByPair,
            "in-place on a copy, other argument names": InPlaceStyle,
            "a class of its own": OwnLayers,
        },
    ),
    "ps5.4": Bank(
        right=joint_loss,
        wrong={
            "unweighted": unweighted,
            "normalised": normalised,
            "averaged": averaged,
            "by-order": by_order,
            "caption-only": caption_only,
            "zero-times-inf": zero_times_inf,
            "hides-infinity": hides_infinity,
            "no-gradient": by_item,
            "changes-input": in_place,
        },
        honest={
            "loop": by_loop,
            "sum, other argument names": by_sum,
            "dot product": by_dot,
            "where": by_where,
        },
    ),
}
