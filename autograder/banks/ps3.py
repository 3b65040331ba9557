"""Problem set 3: what proves it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.checks.exercise import Bank
from idc.pieces.attention import (
    CrossAttention,
    MultiHeadAttention,
    SelfAttention,
    attend,
    attention,
    join_heads,
    split_heads,
)

Pair = Any  # context and weights
Mask = Tensor | None

# ps3.1, wrong


def scores_of(query: Tensor, key: Tensor, mask: Mask = None) -> Tensor:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return scores if mask is None else scores.masked_fill(~mask, -torch.inf)


def no_scale(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query * math.sqrt(query.shape[-1]), key, value, mask)


def scale_d(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query / math.sqrt(query.shape[-1]), key, value, mask)


def softmax_over(dim: int, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    weights = scores_of(query, key, mask).softmax(dim)
    return weights @ value, weights


def queries_axis(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return softmax_over(-2, query, key, value, mask)


def heads_axis(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return softmax_over(1, query, key, value, mask)


def mask_inverted(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query, key, value, None if mask is None else ~mask)


def mask_after(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    _, weights = attention(query, key, value)
    if mask is not None:
        weights = weights * mask
    return weights @ value, weights


def mask_added(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    scores = scores_of(query, key)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return weights @ value, weights


def mask_zero(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    scores = scores_of(query, key)
    weights = (scores if mask is None else scores.masked_fill(~mask, 0)).softmax(-1)
    return weights @ value, weights


def mask_ignored(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query, key, value)


def transposed(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    _, weights = attention(query, key, value, mask)
    return weights.transpose(-2, -1) @ value, weights


def exchanged(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(key, query, value, mask)


def raw_scores(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    context, _ = attention(query, key, value, mask)
    return context, scores_of(query, key, mask)


def overflow(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    odds = scores_of(query, key, mask).exp()
    weights = odds / odds.sum(-1, keepdim=True)
    return weights @ value, weights


def cut(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    weights = scores_of(query, key, mask).softmax(-1).detach()
    return weights @ value, weights


def scales_in_place(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    query /= math.sqrt(query.shape[-1])
    return no_scale(query, key, value, mask)


def scale_count(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query * math.sqrt(query.shape[-1] / query.shape[-2]), key, value, mask)


def mask_mild(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    scores = scores_of(query, key)
    weights = (scores if mask is None else scores.masked_fill(~mask, -100)).softmax(-1)
    return weights @ value, weights


def only_context(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    return attention(query, key, value, mask)[0], None


def leak(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    """Hidden keys keep a small share."""
    scores = scores_of(query, key)
    weights = (scores if mask is None else scores.masked_fill(~mask, -2)).softmax(-1)
    return weights @ value, weights


# ps3.1, honest


def attention_loop(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    batch, heads, rows, width = query.shape
    seen = torch.ones((), dtype=torch.bool) if mask is None else mask
    seen = seen.expand(batch, heads, rows, key.shape[2])
    weights = torch.zeros(batch, heads, rows, key.shape[2], dtype=query.dtype)
    context = torch.zeros(batch, heads, rows, value.shape[-1], dtype=query.dtype)
    for b in range(batch):
        for h in range(heads):
            for i in range(rows):
                open_ = seen[b, h, i].nonzero()[:, 0]
                marks = (key[b, h, open_] * query[b, h, i]).sum(-1) / width**0.5
                shares = (marks - marks.max()).exp()
                weights[b, h, i, open_] = shares / shares.sum()
                context[b, h, i] = weights[b, h, i, open_] @ value[b, h, open_]
    return context, weights


def attention_einsum(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    scores = torch.einsum("bhid,bhjd->bhij", query * query.shape[-1] ** -0.5, key)
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    weights = F.softmax(scores, dim=3)
    return torch.einsum("bhij,bhjd->bhid", weights, value), weights


def attention_of_torch(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    eye = torch.eye(key.shape[2], dtype=query.dtype).expand(*key.shape[:3], -1)
    return context, F.scaled_dot_product_attention(query, key, eye, attn_mask=mask)


def attention_in_double(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    context, weights = attention(query.double(), key.double(), value.double(), mask)
    return context.to(query.dtype), weights.to(query.dtype)


def attention_in_place_style(query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
    scores = torch.matmul(query, key.mT)
    scores = scores.div_(math.sqrt(key.size(-1)))
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=scores.dtype).masked_fill_(mask.logical_not(), -1e4)
    weights = torch.exp(torch.log_softmax(scores, -1))
    return torch.matmul(weights, value), weights


class Looked(NamedTuple):
    context: Tensor
    weights: Tensor


class AttentionModule(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Any:
        return Looked(*attention(q, k, v, mask))


# ps3.2


def no_transpose(x: Tensor, heads: int) -> Tensor:
    batch, length, width = x.shape
    return x.reshape(batch, heads, length, width // heads)


def interleaved(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def not_moved(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1))


def split_batch_mixed(x: Tensor, heads: int) -> Tensor:
    batch, length, width = x.shape
    return x.reshape(length, batch, heads, width // heads).permute(1, 2, 0, 3)


def width_for_heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (-1, heads)).transpose(1, 2)


def width_first(x: Tensor, heads: int) -> Tensor:
    return split_heads(x, heads).transpose(-2, -1)


def split_detached(x: Tensor, heads: int) -> Tensor:
    return torch.from_numpy(split_heads(x, heads).detach().numpy())


def split_in_place(x: Tensor, heads: int) -> Tensor:
    x.transpose_(1, 2)
    return x.unflatten(1, (heads, -1)).transpose(-2, -1)


def split_loop(x: Tensor, heads: int) -> Tensor:
    width = x.shape[-1] // heads
    return torch.stack([x[:, :, h * width : (h + 1) * width] for h in range(heads)], dim=1)


def split_chunk(tokens: Tensor, number: int) -> Tensor:
    return torch.cat([part.unsqueeze(1) for part in tokens.chunk(number, dim=2)], dim=1)


def split_view(x: Tensor, heads: int) -> Tensor:
    return x.view(x.size(0), x.size(1), heads, x.size(2) // heads).permute(0, 2, 1, 3).contiguous()


def split_einsum(x: Tensor, heads: int) -> Tensor:
    return torch.einsum("blhd->bhld", x.reshape(*x.shape[:2], heads, -1))


def split_copying(x: Tensor, heads: int) -> Tensor:
    result = x.new_zeros(x.shape[0], heads, x.shape[1], x.shape[2] // heads)
    for place in range(x.shape[2]):
        head, entry = divmod(place, x.shape[2] // heads)
        result[:, head, :, entry] = x[:, :, place]
    return result


# ps3.3


class DropsAtTest(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = attend(self.split(query), self.split(key), self.split(value), mask, self.dropout)
        return join_heads(context), weights


class NeverDrops(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = attend(self.split(query), self.split(key), self.split(value), mask)
        return join_heads(context), weights


class DropsContext(NeverDrops):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = super().between(query, key, value, mask)
        return F.dropout(context, self.dropout, self.training), weights


class Apart(MultiHeadAttention):
    """Attention of heads; what is done with the context is said below."""

    def heads_look(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        dropout = self.dropout if self.training else 0.0
        return attend(self.split(query), self.split(key), self.split(value), mask, dropout)


class JoinsInOrder(Apart):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = self.heads_look(query, key, value, mask)
        return context.reshape(query.shape), weights


class JoinsLikeAZip(Apart):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = self.heads_look(query, key, value, mask)
        return context.permute(0, 2, 3, 1).flatten(2), weights


class DoesNotJoin(Apart):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        return self.heads_look(query, key, value, mask)


class LosesMask(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        return super().between(query, key, value)


class OneHead(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        dropout = self.dropout if self.training else 0.0
        context, weights = attend(query[:, None], key[:, None], value[:, None], mask, dropout)
        return context[:, 0], weights


class AmongHeads(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        dropout = self.dropout if self.training else 0.0
        query, key, value = (x.unflatten(-1, (self.heads, -1)) for x in (query, key, value))
        context, weights = attend(query, key, value, mask, dropout)
        return context.flatten(2), weights


class MeanOfMaps(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = super().between(query, key, value, mask)
        assert weights is not None
        return context, weights.mean(1)


class ProjectsAgain(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        return super().between(self.query(query), self.key(key), self.value(value), mask)


class ScalesAgain(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        return super().between(query / math.sqrt(query.shape[-1] // self.heads), key, value, mask)


class LooksWithoutGradient(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        return super().between(query.detach(), key.detach(), value, mask)


class Overwrites(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        query /= math.sqrt(query.shape[-1] // self.heads)
        query, key, value = (self.split(x) for x in (query, key, value))
        context, weights = attend(query, key, value, mask, self.dropout if self.training else 0.0, no_scale)
        return join_heads(context), weights


class HeadByHead(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        contexts, maps = [], []
        for head in range(self.heads):
            part = slice(head * query.shape[-1] // self.heads, (head + 1) * query.shape[-1] // self.heads)
            seen = mask[:, 0] if mask is not None and mask.ndim == 4 else mask
            scores = query[..., part] @ key[..., part].mT / math.sqrt(part.stop - part.start)
            if seen is not None:
                scores = scores.masked_fill(~seen, -torch.inf)
            weights = scores.softmax(-1)
            contexts.append(F.dropout(weights, self.dropout, self.training) @ value[..., part])
            maps.append(weights)
        return torch.cat(contexts, dim=-1), torch.stack(maps, dim=1)


class WithEinsum(MultiHeadAttention):
    def between(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Any:
        q, k, v = (x.unflatten(-1, (self.heads, -1)) for x in (q, k, v))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        used = nn.Dropout(self.dropout).train(self.training)(weights)
        return [torch.einsum("bhij,bjhd->bihd", used, v).flatten(2), weights]


class WithTorchs(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Any:
        query, key, value = (split_heads(x, self.heads) for x in (query, key, value))
        eye = torch.eye(key.shape[2], dtype=key.dtype).expand(*key.shape[:3], -1)
        weights = F.scaled_dot_product_attention(query, key, eye, attn_mask=mask)
        context = F.dropout(weights, self.dropout, self.training) @ value
        return [join_heads(context), weights]


class InDouble(MultiHeadAttention):
    def between(self, query: Tensor, key: Tensor, value: Tensor, mask: Mask = None) -> Pair:
        context, weights = super().between(query.double(), key.double(), value.double(), mask)
        assert weights is not None
        return context.to(query.dtype), weights.to(query.dtype)


class SubclassOfSubclass(InDouble):
    pass


# ps3.4


class AddsX(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return x + super().forward(x, mask)


class Normalises(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return F.layer_norm(super().forward(x, mask), (x.shape[-1],))


class RawValue(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return self.between(self.query(x), self.key(x), x, mask)[0]


class SelfUnprojected(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return self.between(x, x, x, mask)[0]


class OneProjection(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        asked = self.query(x)
        return self.between(asked, asked, asked, mask)[0]


class KeyForQuery(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return self.between(self.key(x), self.key(x), self.value(x), mask)[0]


class ExchangesProjections(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return self.between(self.key(x), self.query(x), self.value(x), mask)[0]


class IgnoresMask(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return super().forward(x)


class LooksAlongBatch(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        return super().forward(x.transpose(0, 1), mask).transpose(0, 1)


class GivesPair(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Any:
        return self.between(*self.project(x), mask)


class SelfWithoutGradient(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        with torch.no_grad():
            return super().forward(x, mask)


class SelfOverwrites(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        result = super().forward(x, mask)
        x.data.copy_(result)
        return result


class SelfWithOtherNames(SelfAttention):
    def forward(self, tokens: Tensor, seen: Mask = None, *, scale: float = 1.0) -> Tensor:
        context, _ = self.between(scale * self.query(tokens), self.key(tokens), self.value(tokens), seen)
        return context


class SelfFromTorch(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        query, key, value = (split_heads(part, self.heads) for part in self.project(x))
        dropout = self.dropout if self.training else 0.0
        return join_heads(F.scaled_dot_product_attention(query, key, value, mask, dropout))


class SelfInOneProduct(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        layers = (self.query, self.key, self.value)
        weight, bias = torch.cat([at.weight for at in layers]), torch.cat([at.bias for at in layers])
        query, key, value = F.linear(x, weight, bias).chunk(3, dim=-1)
        return self.between(query, key, value, mask)[0]


class SelfSampleBySample(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        seen = [mask if mask is None or mask.ndim == 2 else mask[b] for b in range(len(x))]
        found = [self.between(*self.project(x[b : b + 1]), seen[b])[0] for b in range(len(x))]
        return torch.cat(found)


class SelfWithEinsum(SelfAttention):
    def forward(self, x: Tensor, mask: Mask = None) -> Tensor:
        query, key, value = (
            (torch.einsum("bli,oi->blo", x, at.weight) + at.bias).unflatten(-1, (self.heads, -1))
            for at in (self.query, self.key, self.value)
        )
        scores = torch.einsum("bihd,bjhd->bhij", query, key) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = torch.where(mask, scores, -torch.inf)
        weights = F.dropout(scores.softmax(-1), self.dropout, self.training)
        return torch.einsum("bhij,bjhd->bihd", weights, value).flatten(2)


# ps3.5


class MemoryAsks(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return super().forward(memory, x, mask)


class ValueFromX(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(self.query(x), self.key(memory), self.value(x), mask)


class KeyFromX(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(self.query(x), self.key(x), self.value(memory), mask)


class CrossUnprojected(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(x, memory, memory, mask)


class MemoryAsksItself(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(*self.project(memory), mask)


class OnlyX(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(*self.project(x), mask)


class RawMemory(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return self.between(self.query(x), self.key(memory), memory, mask)


class CrossIgnoresMask(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return super().forward(x, memory)


class CrossAddsX(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        context, weights = super().forward(x, memory, mask)
        return x + context, weights


class ForgetsWeights(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Any:
        return super().forward(x, memory, mask)[0], None


class CrossWithoutGradient(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        return super().forward(x, memory.detach(), mask)


class CrossOverwrites(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        result = super().forward(x, memory, mask)
        x.data.add_(result[0])
        return result


class CrossWithOtherNames(CrossAttention):
    def forward(self, asking: Tensor, asked: Tensor, seen: Mask = None, *, times: int = 1) -> Any:
        context, weights = self.between(self.query(asking), self.key(asked), self.value(asked), mask=seen)
        return [times * context, weights]


class CrossFromTorch(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Any:
        query, key, value = (
            split_heads(part, self.heads) for part in (self.query(x), self.key(memory), self.value(memory))
        )
        weights = attention(query, key, value, mask)[1]
        dropout = self.dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        return [join_heads(context), weights]


class CrossQueryByQuery(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        key, value = self.key(memory), self.value(memory)
        found = []
        for place in range(x.shape[1]):
            seen = mask
            if mask is not None and mask.shape[-2] > 1:
                seen = mask[..., place : place + 1, :]
            found.append(self.between(self.query(x[:, place : place + 1]), key, value, seen))
        contexts, weights = zip(*found, strict=True)
        return torch.cat(contexts, dim=1), torch.cat(weights, dim=2)


class CrossProjectsBoth(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        query, _, _ = self.project(x)
        _, key, value = self.project(memory)
        return self.between(query, key, value, mask)


class CrossInDouble(CrossAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None) -> Pair:
        query, key, value = self.query(x), self.key(memory), self.value(memory)
        context, weights = self.between(query.double(), key.double(), value.double(), mask)
        assert weights is not None
        return context.to(x.dtype), weights.to(x.dtype)


BANKS = {
    "ps3.1": Bank(
        right=attention,
        wrong={
            "no-scale": no_scale,
            "scale-d": scale_d,
            "scale-count": scale_count,
            "queries-axis": queries_axis,
            "heads-axis": heads_axis,
            "mask-inverted": mask_inverted,
            "mask-after": mask_after,
            "mask-added": mask_added,
            "mask-zero": mask_zero,
            "mask-mild": mask_mild,
            "mask-ignored": mask_ignored,
            "transposed": transposed,
            "exchanged": exchanged,
            "scores": raw_scores,
            "no-weights": only_context,
            "overflow": overflow,
            "leak": leak,
            "no-gradient": cut,
            "changes-input": scales_in_place,
        },
        honest={
            "loop": attention_loop,
            "einsum": attention_einsum,
            "F.scaled_dot_product_attention": attention_of_torch,
            "float64 inside": attention_in_double,
            "in-place style": attention_in_place_style,
            "a module, a named tuple": AttentionModule(),
        },
    ),
    "ps3.2": Bank(
        right=split_heads,
        wrong={
            "no-transpose": no_transpose,
            "interleaved": interleaved,
            "not-moved": not_moved,
            "batch-mixed": split_batch_mixed,
            "width-for-heads": width_for_heads,
            "width-first": width_first,
            "no-gradient": split_detached,
            "changes-input": split_in_place,
        },
        honest={
            "slices": split_loop,
            "chunk, other argument names": split_chunk,
            "view and permute": split_view,
            "einsum": split_einsum,
            "entry by entry": split_copying,
        },
    ),
    "ps3.3": Bank(
        right=MultiHeadAttention,
        wrong={
            "dropout-at-test": DropsAtTest,
            "no-dropout": NeverDrops,
            "dropout-elsewhere": DropsContext,
            "join-order": JoinsInOrder,
            "interleaved": JoinsLikeAZip,
            "not-joined": DoesNotJoin,
            "mask-dropped": LosesMask,
            "one-head": OneHead,
            "among-heads": AmongHeads,
            "mean-weights": MeanOfMaps,
            "projected-twice": ProjectsAgain,
            "scaled-twice": ScalesAgain,
            "no-gradient": LooksWithoutGradient,
            "changes-input": Overwrites,
        },
        honest={
            "head by head": HeadByHead,
            "einsum, a list": WithEinsum,
            "F.scaled_dot_product_attention, a list": WithTorchs,
            "float64 inside": InDouble,
            "a subclass of a subclass": SubclassOfSubclass,
        },
    ),
    "ps3.4": Bank(
        right=SelfAttention,
        wrong={
            "residual": AddsX,
            "normalised": Normalises,
            "raw-value": RawValue,
            "unprojected": SelfUnprojected,
            "one-projection": OneProjection,
            "key-for-query": KeyForQuery,
            "exchanged": ExchangesProjections,
            "mask-ignored": IgnoresMask,
            "batch-mixed": LooksAlongBatch,
            "pair": GivesPair,
            "no-gradient": SelfWithoutGradient,
            "changes-input": SelfOverwrites,
        },
        honest={
            "other argument names": SelfWithOtherNames,
            "F.scaled_dot_product_attention": SelfFromTorch,
            "one product for three projections": SelfInOneProduct,
            "sample by sample": SelfSampleBySample,
            "einsum": SelfWithEinsum,
        },
    ),
    "ps3.5": Bank(
        right=CrossAttention,
        wrong={
            "exchanged": MemoryAsks,
            "value-from-x": ValueFromX,
            "key-from-x": KeyFromX,
            "unprojected": CrossUnprojected,
            "query-from-memory": MemoryAsksItself,
            "only-x": OnlyX,
            "raw-value": RawMemory,
            "mask-ignored": CrossIgnoresMask,
            "residual": CrossAddsX,
            "no-weights": ForgetsWeights,
            "no-gradient": CrossWithoutGradient,
            "changes-input": CrossOverwrites,
        },
        honest={
            "other argument names, a list": CrossWithOtherNames,
            "F.scaled_dot_product_attention, a list": CrossFromTorch,
            "query by query": CrossQueryByQuery,
            "both projected, parts thrown away": CrossProjectsBoth,
            "float64 inside": CrossInDouble,
        },
    ),
}
