"""Problem set 4: what proves it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.checks.exercise import Bank
from idc.pieces.attention import CrossAttention
from idc.pieces.matching import multi_head_token_matching, token_matching
from idc.pieces.scorer import CrossView, CrossViewLayer, difference_tokens


def table(query: Tensor, key: Tensor) -> Tensor:
    """e, (A, B, N, M)."""
    return torch.einsum("aid,bjd->abij", query, key)


# ps4.1, wrong


def one_direction(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.amax(3).mean(2) + scores.amax(3).mean(2)) / 2


def other_direction(query: Tensor, key: Tensor) -> Tensor:
    return table(query, key).amax(2).mean(2)


def max_over_sets(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.amax(1).mean(1) + scores.amax(1).mean(2)[:, :1]) / 2


def mean_first(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.mean(3).amax(2) + scores.mean(2).amax(2)) / 2


def added(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.amax(3).sum(2) + scores.amax(2).sum(2)) / 2


def best_pair(query: Tensor, key: Tensor) -> Tensor:
    return table(query, key).amax((2, 3))


def all_pairs(query: Tensor, key: Tensor) -> Tensor:
    return table(query, key).mean((2, 3))


def cosine(query: Tensor, key: Tensor) -> Tensor:
    return token_matching(F.normalize(query, dim=-1), F.normalize(key, dim=-1))


def diagonal(query: Tensor, key: Tensor) -> Tensor:
    scores = query @ key.transpose(1, 2)
    return (scores.amax(2).mean(1) + scores.amax(1).mean(1)) / 2


def transposed(query: Tensor, key: Tensor) -> Tensor:
    return token_matching(query, key).T


def scaled(query: Tensor, key: Tensor) -> Tensor:
    return token_matching(query, key) / query.shape[-1] ** 0.5


def no_half(query: Tensor, key: Tensor) -> Tensor:
    return 2 * token_matching(query, key)


def wrong_count(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.amax(3).sum(2) / key.shape[1] + scores.amax(2).sum(2) / query.shape[1]) / 2


def exchanged_view(query: Tensor, key: Tensor) -> Tensor:
    product = query.flatten(0, 1) @ key.flatten(0, 1).T
    product = product.view(query.shape[0], query.shape[1], key.shape[1], key.shape[0]).transpose(2, 3)
    return (product.amax(3).mean(1) + product.amax(1).mean(2)) / 2


def wrong_view(query: Tensor, key: Tensor) -> Tensor:
    product = query.flatten(0, 1) @ key.flatten(0, 1).T
    product = product.view(query.shape[0], key.shape[0], query.shape[1], key.shape[1])
    return (product.amax(3).mean(2) + product.amax(2).mean(2)) / 2


def place_by_place(query: Tensor, key: Tensor) -> Tensor:
    both = min(query.shape[1], key.shape[1])
    return torch.einsum("aid,bid->ab", query[:, :both], key[:, :both]) / both


def soft_maximum(query: Tensor, key: Tensor) -> Tensor:
    scores = table(query, key)
    return (scores.logsumexp(3).mean(2) + scores.logsumexp(2).mean(2)) / 2


def distance(query: Tensor, key: Tensor) -> Tensor:
    scores = -torch.cdist(query[:, None], key[None]).square()
    return (scores.amax(3).mean(2) + scores.amax(2).mean(2)) / 2


def same_number(query: Tensor, key: Tensor) -> Tensor:
    """Right as long as both sides hold equally many sets."""
    sets = query.shape[0]
    rows = [
        [token_matching(query[a : a + 1], key[b : b + 1])[0, 0] for b in range(sets)] for a in range(sets)
    ]
    return torch.stack([torch.stack(row) for row in rows])


def into_numpy(query: Tensor, key: Tensor) -> Tensor:
    return torch.from_numpy(token_matching(query, key).detach().numpy())


def halved_in_place(query: Tensor, key: Tensor) -> Tensor:
    query /= 2  # the half of the formula
    scores = table(query, key)
    return scores.amax(3).mean(2) + scores.amax(2).mean(2)


# ps4.1, honest


def matching_loop(query: Tensor, key: Tensor) -> Tensor:
    rows = []
    for q in query:
        row = []
        for k in key:
            scores = q @ k.T
            row.append(0.5 * scores.max(dim=1).values.mean() + 0.5 * scores.max(dim=0).values.mean())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def matching_einsum(query: Tensor, key: Tensor) -> Tensor:
    scores = torch.einsum("aid,bjd->abij", query, key)
    return (scores.max(-1)[0].mean(-1) + scores.max(-2)[0].mean(-1)) / 2


def matching_broadcast(query: Tensor, key: Tensor) -> Tensor:
    scores = query[:, None] @ key[None].transpose(-1, -2)
    return torch.stack([scores.amax(-1).mean(-1), scores.amax(-2).mean(-1)]).mean(0)


def matching_tensordot(query: Tensor, key: Tensor) -> Tensor:
    scores = torch.tensordot(query, key, dims=([2], [2]))  # (A, N, B, M)
    to_key = scores.sort(dim=3, descending=True).values[..., 0]
    to_query = torch.take_along_dim(scores, scores.argmax(1, keepdim=True), 1).squeeze(1)
    return 0.5 * (to_key.sum(1) / query.size(1) + to_query.sum(2) / key.size(1))


def matching_in_double(query: Tensor, key: Tensor) -> Tensor:
    return matching_einsum(query.double(), key.double()).to(query.dtype)


def matching_in_place(query: Tensor, key: Tensor) -> Tensor:
    result = matching_loop(query, key)
    result *= 2
    return result.div_(2)


class MatchingModule(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.vmap(lambda q: torch.vmap(lambda k: self.pair(q @ k.T))(y))(x)

    def pair(self, scores: Tensor) -> Tensor:
        return (scores.amax(1).mean() + scores.amax(0).mean()) / 2


# ps4.2, wrong


def slices(query: Tensor, key: Tensor, heads: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(query.chunk(heads, -1), key.chunk(heads, -1), strict=True))


def votes(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """(H, A, B)."""
    return torch.stack([token_matching(q, k) for q, k in slices(query, key, heads)])


def always_joint(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    scores = torch.stack([table(q, k) for q, k in slices(query, key, heads)]).sum(0)
    return (scores.amax(3).mean(2) + scores.amax(2).mean(2)) / 2


def always_separate(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    return votes(query, key, heads).mean(0)


def other_mode(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    return multi_head_token_matching(query, key, heads, "joint" if mode == "separate" else "separate")


def sum_of_votes(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    return token_matching(query, key) if mode == "joint" else votes(query, key, heads).sum(0)


def loudest_vote(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    return token_matching(query, key) if mode == "joint" else votes(query, key, heads).amax(0)


def cut_tokens(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    pairs = zip(query.tensor_split(heads, 1), key.tensor_split(heads, 1), strict=True)
    return torch.stack([token_matching(q, k) for q, k in pairs if q.shape[1]]).mean(0)


def combed_heads(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    found = [token_matching(query[..., head::heads], key[..., head::heads]) for head in range(heads)]
    return torch.stack(found).mean(0)


def split_by_size(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    pairs = zip(query.split(heads, -1), key.split(heads, -1), strict=True)
    return torch.stack([token_matching(q, k) for q, k in pairs]).mean(0)


def shrunk_joint(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    found = multi_head_token_matching(query, key, heads, mode)
    return found / heads if mode == "joint" else found


def mixed_heads(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    pairs = zip(query.chunk(heads, -1), reversed(key.chunk(heads, -1)), strict=True)
    return torch.stack([token_matching(q, k) for q, k in pairs]).mean(0)


def all_heads(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    found = [token_matching(q, k) for q in query.chunk(heads, -1) for k in key.chunk(heads, -1)]
    return torch.stack(found).mean(0)


def votes_scaled(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    found = multi_head_token_matching(query, key, heads, mode)
    return found if mode == "joint" else found / (query.shape[-1] / heads) ** 0.5


def joint_of_votes(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    found = votes(query, key, heads)
    return found.sum(0) if mode == "joint" else found.mean(0)


def votes_cut_off(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    return torch.tensor(votes(query, key, heads).tolist(), dtype=query.dtype).mean(0)


def heads_in_place(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    if mode == "joint":
        return token_matching(query, key)
    key /= heads  # instead of the mean
    return votes(query, key, heads).sum(0)


# ps4.2, honest


def heads_loop(
    query: Tensor, key: Tensor, heads: int, mode: str = "joint", match: Any = token_matching
) -> Tensor:
    if mode == "joint":
        heads = 1
    width = query.shape[-1] // heads
    total = query.new_zeros(())
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        total = total + match(query[..., part], key[..., part]) / heads
    return total


def heads_einsum(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    q, k = query.unflatten(-1, (heads, -1)), key.unflatten(-1, (heads, -1))
    scores = torch.einsum("aihd,bjhd->habij", q, k)
    if mode == "joint":
        scores = scores.sum(0, keepdim=True)
    return ((scores.amax(-1).mean(-1) + scores.amax(-2).mean(-1)) / 2).mean(0)


def heads_folded(
    query: Tensor, key: Tensor, heads: int, mode: str = "joint", match: Any = token_matching
) -> Tensor:
    parts = 1 if mode == "joint" else heads
    q = query.reshape(*query.shape[:2], parts, -1).permute(2, 0, 1, 3)
    k = key.reshape(*key.shape[:2], parts, -1).permute(2, 0, 1, 3)
    found = [match(one, other) for one, other in zip(q, k, strict=True)]
    return torch.stack(found).sum(0) / parts


def heads_in_double(query: Tensor, key: Tensor, heads: int, mode: str = "joint") -> Tensor:
    return heads_loop(query.double(), key.double(), heads, mode).to(query.dtype)


def heads_other_names(x: Tensor, y: Tensor, number: int, how: str = "joint", **_: Any) -> Tensor:
    if how not in ("joint", "separate"):
        raise ValueError(how)
    width = x.shape[-1] // (number if how == "separate" else 1)
    found = [token_matching(a, b) for a, b in zip(x.split(width, 2), y.split(width, 2), strict=True)]
    return torch.stack(found, -1).mean(-1)


# ps4.3


class Layer(CrossViewLayer):
    """The layer step by step, so that one step can be replaced."""

    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        first, second = self.attention.project(before), self.attention.project(after)
        from_after, looks_before = self.attention.between(*self.asked(first, second))
        from_before, looks_after = self.attention.between(*self.asked(second, first))
        new_before, new_after = self.join(before, from_after, after), self.join(after, from_before, before)
        return CrossView(
            new_before,
            new_after,
            *self.similarities(first, second, match, before, after, new_before, new_after),
            looks_before,
            looks_after,
        )

    def asked(self, mine: Any, theirs: Any) -> tuple[Tensor, Tensor, Tensor]:
        return mine[0], theirs[1], theirs[2]

    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return self.layer_norm(picture + found)

    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        if not match:
            return None, None
        return self.scaled(first[0], second[1]), self.scaled(second[0], first[1])

    def scaled(self, query: Tensor, key: Tensor) -> Tensor:
        return self.factor() * self.matching(query, key)

    def factor(self) -> Any:
        return self.logit_scale.exp()


class Sequential(Layer):
    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        whole = super().forward(before, after, match)
        found, looks = self.attention(after, whole.before)
        return dataclasses.replace(whole, after=self.layer_norm(after + found), weights_after=looks)


class NoResidual(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return self.layer_norm(found)


class WrongResidual(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return self.layer_norm(other + found)


class PreNorm(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return picture + self.layer_norm(found)


class NoNorm(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return picture + found


class NormTwice(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return self.layer_norm(self.layer_norm(picture + found))


class PlainNorm(Layer):
    def join(self, picture: Tensor, found: Tensor, other: Tensor) -> Tensor:
        return F.layer_norm(picture + found, picture.shape[-1:], eps=1e-6)


class Itself(Layer):
    def asked(self, mine: Any, theirs: Any) -> tuple[Tensor, Tensor, Tensor]:
        return mine


class OwnValues(Layer):
    def asked(self, mine: Any, theirs: Any) -> tuple[Tensor, Tensor, Tensor]:
        return mine[0], theirs[1], mine[2]


class RawScale(Layer):
    def factor(self) -> Any:
        return self.logit_scale


class NoScale(Layer):
    def factor(self) -> Any:
        return 1


class Divided(Layer):
    def factor(self) -> Any:
        return 1 / self.logit_scale.exp()


class ScaleCutOff(Layer):
    def factor(self) -> Any:
        return self.logit_scale.exp().item()


class LateMatching(Layer):
    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        before, after = others[2:]
        return super().similarities(self.attention.project(before), self.attention.project(after), match)


class Unprojected(Layer):
    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        before, after = others[:2]
        return super().similarities((before, before), (after, after), match)


class Exchanged(Layer):
    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        return super().similarities(first, second, match)[::-1]


class Mirrored(Layer):
    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        there = super().similarities(first, second, match)[0]
        return there, None if there is None else there.T


class Always(Layer):
    def similarities(self, first: Any, second: Any, match: bool, *others: Tensor) -> tuple[Any, Any]:
        return super().similarities(first, second, True)


class LooksExchanged(Layer):
    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        whole = super().forward(before, after, match)
        return dataclasses.replace(
            whole, weights_before=whole.weights_after, weights_after=whole.weights_before
        )


class Lopsided(Layer):
    """Only the first picture is normalised."""

    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        whole = super().forward(before, after, match)
        return dataclasses.replace(whole, after=after + self.attention(after, before)[0])


class Mixed(Layer):
    """What is told is averaged over the scenes of the batch."""

    def asked(self, mine: Any, theirs: Any) -> tuple[Tensor, Tensor, Tensor]:
        return mine[0], theirs[1], theirs[2].mean(0, keepdim=True).expand_as(theirs[2])


class Nameless(Layer):
    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        whole = super().forward(before, after, match)
        return tuple(getattr(whole, each.name) for each in dataclasses.fields(whole))


# ps4.3, honest


class ByForward(CrossViewLayer):
    """Attention called as a whole, projections for the matching made again."""

    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> CrossView:
        to_before, looks_before = self.attention(before, after)
        to_after, looks_after = self.attention(after, before)
        there = back = None
        if match:
            there = (
                self.matching(self.attention.query(before), self.attention.key(after))
                * self.logit_scale.exp()
            )
            back = (
                self.matching(self.attention.query(after), self.attention.key(before))
                * self.logit_scale.exp()
            )
        return CrossView(
            before=self.layer_norm(to_before + before),
            after=self.layer_norm(to_after + after),
            similarity_b2a=there,
            similarity_a2b=back,
            weights_before=looks_before,
            weights_after=looks_after,
        )


class Stacked(CrossViewLayer):
    """Both directions as one batch of twice the size."""

    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> CrossView:
        both = torch.cat([before, after])
        query, key, value = self.attention.project(both)
        turn = torch.arange(len(both)).roll(len(before))
        found, looks = self.attention.between(query, key[turn], value[turn])
        new = self.layer_norm(both + found).chunk(2)
        scale = torch.exp(self.logit_scale)
        q, k = query.chunk(2), key.chunk(2)
        similar = (
            (scale * self.matching(q[0], k[1]), scale * self.matching(q[1], k[0])) if match else (None, None)
        )
        return CrossView(*new, *similar, *((None, None) if looks is None else looks.chunk(2)))


class WithTorch(CrossViewLayer):
    """torch's own attention, its own LayerNorm, and a result of another class with the same names."""

    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> Any:
        found, looks = {}, {}
        for name, asks, tells in (("before", before, after), ("after", after, before)):
            q = self.attention.query(asks).unflatten(-1, (self.attention.heads, -1)).transpose(1, 2)
            k = self.attention.key(tells).unflatten(-1, (self.attention.heads, -1)).transpose(1, 2)
            v = self.attention.value(tells).unflatten(-1, (self.attention.heads, -1)).transpose(1, 2)
            context = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            norm = self.layer_norm
            found[name] = F.layer_norm(
                asks + context, norm.normalized_shape, norm.weight, norm.bias, norm.eps
            )
            looks[f"weights_{name}"] = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        scale = self.logit_scale.exp()
        names = {"similarity_b2a": (before, after), "similarity_a2b": (after, before)}
        similar = {
            name: scale * token_matching(self.attention.query(a), self.attention.key(b)) if match else None
            for name, (a, b) in names.items()
        }
        return SimpleNamespace(**found, **similar, **looks)


class InPlaceStyle(CrossViewLayer):
    def forward(self, before: Tensor, after: Tensor, match: bool = True, projected: Any = None) -> CrossView:
        results: list[Any] = [None] * 6
        pictures = (before, after)
        projections = [self.attention.project(picture) for picture in pictures]
        for side in (0, 1):
            query, (_, key, value) = projections[side][0], projections[1 - side]
            found, results[4 + side] = self.attention.between(query, key, value)
            work = pictures[side].clone()
            work += found
            results[side] = self.layer_norm(work)
            if match:
                results[2 + side] = self.matching(query, key).mul(self.logit_scale.exp())
        return CrossView(*results)


class FromScratch(nn.Module):
    """No subclass, the given constructor written again."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.1, matching: Any = token_matching):
        super().__init__()
        self.attention = CrossAttention(dim, heads, dropout)
        self.layer_norm = nn.LayerNorm(dim, eps=1e-6)
        self.logit_scale = nn.Parameter(torch.ones(()))
        self.matching = matching

    def one_side(
        self, asks: Tensor, tells: Tensor, match: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        context, looks = self.attention(asks, tells)
        query, key = self.attention.query(asks), self.attention.key(tells)
        similar = self.logit_scale.exp() * self.matching(query, key) if match else None
        return self.layer_norm(asks + context), similar, looks

    def forward(self, first: Tensor, second: Tensor, match: bool = True) -> Any:
        before, there, looks_before = self.one_side(first, second, match)
        after, back, looks_after = self.one_side(second, first, match)
        return SimpleNamespace(
            before=before, after=after, similarity_b2a=there, similarity_a2b=back,
            weights_before=looks_before, weights_after=looks_after,
        )  # fmt: skip


# ps4.4


def subtract(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(after - before, weight[:, : before.shape[-1]], bias).relu()


def weight_unused(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (after - before).relu()


def order(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return difference_tokens(after, before, weight, bias)


def along_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    both = torch.cat([before, after], 1).reshape(*before.shape[:2], -1)
    return F.linear(both, weight, bias).relu()


def combed(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(torch.stack([before, after], -1).flatten(-2), weight, bias).relu()


def no_relu(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(torch.cat([before, after], -1), weight, bias)


def with_gelu(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(no_relu(before, after, weight, bias))


def relu_first(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return no_relu(before.relu(), after.relu(), weight, bias)


def bias_last(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return no_bias(before, after, weight, bias) + bias


def no_bias(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return difference_tokens(before, after, weight, torch.zeros_like(bias))


def not_transposed(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (torch.cat([before, after], -1) @ weight.reshape(weight.shape[::-1]) + bias).relu()


def with_sigmoid(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return no_relu(before, after, weight, bias).sigmoid()


def cells_mix(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return difference_tokens(before, after.mean(1, keepdim=True).expand_as(after), weight, bias)


def difference_cut_off(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return difference_tokens(before, after, weight.data, bias)


def turned_in_place(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (torch.cat([before, after], -1) @ weight.t_() + bias).relu()


def difference_loop(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    scenes = []
    for first, second in zip(before, after, strict=True):
        cells = [weight @ torch.cat([b, a]) + bias for b, a in zip(first, second, strict=True)]
        scenes.append(torch.stack(cells))
    return torch.stack(scenes).clamp(min=0)


def difference_einsum(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    left, right = weight.chunk(2, dim=1)
    found = torch.einsum("bnd,ed->bne", before, left) + torch.einsum("bnd,ed->bne", after, right)
    return torch.maximum(found + bias, torch.zeros((), dtype=found.dtype))


def difference_two_products(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> Tensor:
    dim = x.shape[-1]
    return torch.relu(x @ w[:, :dim].T + y @ w[:, dim:].T + b)


def difference_in_double(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    wide = [part.double() for part in (before, after, weight, bias)]
    return F.relu(F.linear(torch.cat(wide[:2], 2), *wide[2:])).to(before.dtype)


def difference_in_place(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    work = torch.cat((before, after), dim=2) @ weight.mT
    work += bias
    return work.relu_()


BANKS = {
    "ps4.1": Bank(
        right=token_matching,
        wrong={
            "one-direction": one_direction,
            "other-direction": other_direction,
            "wrong-axis": max_over_sets,
            "mean-first": mean_first,
            "sum": added,
            "best-pair": best_pair,
            "all-pairs": all_pairs,
            "cosine": cosine,
            "diagonal": diagonal,
            "transposed": transposed,
            "scaled": scaled,
            "no-half": no_half,
            "wrong-count": wrong_count,
            "exchanged": exchanged_view,
            "wrong-view": wrong_view,
            "place-counts": place_by_place,
            "copies": soft_maximum,
            "not-plain": distance,
            "one-size": same_number,
            "no-gradient": into_numpy,
            "changes-input": halved_in_place,
        },
        honest={
            "loop": matching_loop,
            "einsum": matching_einsum,
            "broadcast product": matching_broadcast,
            "tensordot, sort and gather": matching_tensordot,
            "float64 inside": matching_in_double,
            "in-place style": matching_in_place,
            "a module, vmap, other names": MatchingModule(),
        },
    ),
    "ps4.2": Bank(
        right=multi_head_token_matching,
        wrong={
            "always-joint": always_joint,
            "always-separate": always_separate,
            "exchanged": other_mode,
            "sum": sum_of_votes,
            "max": loudest_vote,
            "by-tokens": cut_tokens,
            "interleaved": combed_heads,
            "split-by-size": split_by_size,
            "shrunk": shrunk_joint,
            "mixed-heads": mixed_heads,
            "all-heads": all_heads,
            "one-head": votes_scaled,
            "joint-cut": joint_of_votes,
            "no-gradient": votes_cut_off,
            "changes-input": heads_in_place,
        },
        honest={
            "loop": heads_loop,
            "einsum": heads_einsum,
            "folded": heads_folded,
            "float64 inside": heads_in_double,
            "other argument names, split": heads_other_names,
        },
    ),
    "ps4.3": Bank(
        right=CrossViewLayer,
        wrong={
            "sequential": Sequential,
            "no-residual": NoResidual,
            "wrong-residual": WrongResidual,
            "pre-norm": PreNorm,
            "no-norm": NoNorm,
            "norm-twice": NormTwice,
            "plain-norm": PlainNorm,
            "self": Itself,
            "own-values": OwnValues,
            "raw-scale": RawScale,
            "no-scale": NoScale,
            "divided": Divided,
            "late-matching": LateMatching,
            "unprojected": Unprojected,
            "exchanged": Exchanged,
            "mirrored": Mirrored,
            "always": Always,
            "looks-exchanged": LooksExchanged,
            "names": Nameless,
            "lopsided": Lopsided,
            "mixed": Mixed,
            "no-gradient": ScaleCutOff,
        },
        honest={
            "attention as a whole": ByForward,
            "both directions as one batch": Stacked,
            "torch's attention, other class of result": WithTorch,
            "in-place style": InPlaceStyle,
            "written anew, bare fields": FromScratch,
            "a subclass": type("Mine", (CrossViewLayer,), {}),
        },
    ),
    "ps4.4": Bank(
        right=difference_tokens,
        wrong={
            "subtract": subtract,
            "weight-unused": weight_unused,
            "order": order,
            "tokens": along_tokens,
            "combed": combed,
            "no-relu": no_relu,
            "gelu": with_gelu,
            "relu-first": relu_first,
            "bias-last": bias_last,
            "no-bias": no_bias,
            "not-transposed": not_transposed,
            "sigmoid": with_sigmoid,
            "cells-mix": cells_mix,
            "no-gradient": difference_cut_off,
            "changes-input": turned_in_place,
        },
        honest={
            "loop": difference_loop,
            "einsum": difference_einsum,
            "two products, other names": difference_two_products,
            "float64 inside": difference_in_double,
            "in-place style": difference_in_place,
        },
    ),
}
