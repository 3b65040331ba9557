"""Problem set 1: what proves it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.checks.exercise import Bank
from idc.pieces.infonce import info_nce

# ps1.1, wrong


def columns(similarity: Tensor) -> Tensor:
    return info_nce(similarity.T)


def added(similarity: Tensor) -> Tensor:
    return info_nce(similarity) * len(similarity)


def sign(similarity: Tensor) -> Tensor:
    return -info_nce(similarity)


def no_partner(similarity: Tensor) -> Tensor:
    return similarity.logsumexp(1).mean()


def only_partner(similarity: Tensor) -> Tensor:
    return -similarity.diagonal().mean()


def others_only(similarity: Tensor) -> Tensor:
    if len(similarity) == 1:
        return -similarity.diagonal().mean()
    others = similarity.masked_fill(torch.eye(len(similarity), dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - similarity.diagonal()).mean()


def both_ways(similarity: Tensor) -> Tensor:
    return (info_nce(similarity) + info_nce(similarity.T)) / 2


def all_entries(similarity: Tensor) -> Tensor:
    return -similarity.log_softmax(1).mean()


def base_two(similarity: Tensor) -> Tensor:
    return info_nce(similarity) / math.log(2)


def no_log(similarity: Tensor) -> Tensor:
    return -similarity.softmax(1).diagonal().mean()


def overflow(similarity: Tensor) -> Tensor:
    odds = similarity.exp()
    return -(odds.diagonal() / odds.sum(1)).log().mean()


def detached(similarity: Tensor) -> Tensor:
    return F.cross_entropy(similarity.detach(), torch.arange(len(similarity)))


def through_numpy(similarity: Tensor) -> Tensor:
    return torch.tensor(info_nce(similarity).item(), dtype=similarity.dtype)


def in_place(similarity: Tensor) -> Tensor:
    similarity -= similarity.detach().max(1, keepdim=True).values
    return info_nce(similarity)


# ps1.1, honest


def loop(similarity: Tensor) -> Tensor:
    losses = []
    for number, row in enumerate(similarity):
        top = row.max()
        losses.append(top + torch.log(torch.exp(row - top).sum()) - row[number])
    return torch.stack(losses).mean()


def cross_entropy(similarity: Tensor) -> Tensor:
    return F.cross_entropy(similarity, torch.arange(similarity.shape[0], device=similarity.device))


def by_einsum(similarity: Tensor) -> Tensor:
    return -torch.einsum("ii->", similarity.log_softmax(dim=-1)) / similarity.size(0)


def in_double(similarity: Tensor) -> Tensor:
    chances = similarity.double().log_softmax(1)
    return -chances.diag().mean().to(similarity.dtype)


def in_place_style(similarity: Tensor) -> Tensor:
    work = similarity.clone()
    work -= work.max(dim=1, keepdim=True).values
    partner = work.diagonal().clone()
    return work.exp().sum(1).log_().sub(partner).mean()


class AsModule(nn.Module):
    def forward(self, similarity: Tensor) -> Tensor:
        return (similarity.logsumexp(1) - similarity.diagonal()).mean()


# ps1.2


def gradient(similarity: Tensor) -> Tensor:
    size = len(similarity)
    return (similarity.softmax(dim=1) - torch.eye(size, dtype=similarity.dtype)) / size


def gradient_columns(similarity: Tensor) -> Tensor:
    return gradient(similarity.T).T


def no_mean(similarity: Tensor) -> Tensor:
    return gradient(similarity) * len(similarity)


def mean_over_entries(similarity: Tensor) -> Tensor:
    return gradient(similarity) / len(similarity)


def downhill(similarity: Tensor) -> Tensor:
    return -gradient(similarity)


def pushes_only(similarity: Tensor) -> Tensor:
    return similarity.softmax(1) / len(similarity)


def softmax_slope(similarity: Tensor) -> Tensor:
    chances = similarity.softmax(1)
    return chances * (1 - chances) / len(similarity)


def gradient_overflow(similarity: Tensor) -> Tensor:
    odds = similarity.exp()
    chances = odds / odds.sum(1, keepdim=True)
    return (chances - torch.eye(len(similarity), dtype=similarity.dtype)) / len(similarity)


def unbalanced(similarity: Tensor) -> Tensor:
    return gradient(similarity) * (1 + 0.5 * torch.eye(len(similarity), dtype=similarity.dtype))


def gradient_loop(similarity: Tensor) -> Tensor:
    result = torch.zeros_like(similarity)
    for i, row in enumerate(similarity):
        for j, chance in enumerate(row.softmax(0)):
            result[i, j] = chance / len(similarity)
        result[i, i] -= 1 / len(similarity)
    return result


def by_autograd(similarity: Tensor) -> Tensor:
    leaf = similarity.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(info_nce(leaf), leaf)
    return found


def in_place_gradient(similarity: Tensor) -> Tensor:
    result = F.softmax(similarity, dim=-1)
    result.diagonal().sub_(1)
    return result.div_(similarity.size(0))


def gradient_in_double(similarity: Tensor) -> Tensor:
    wide = similarity.double()
    one_hot = F.one_hot(torch.arange(len(wide)), len(wide))
    return ((torch.softmax(wide, 1) - one_hot) / len(wide)).to(similarity.dtype)


BANKS = {
    "ps1.1": Bank(
        right=info_nce,
        wrong={
            "columns": columns,
            "sum": added,
            "sign": sign,
            "no-partner": no_partner,
            "only-partner": only_partner,
            "others-only": others_only,
            "both-ways": both_ways,
            "all-entries": all_entries,
            "base-two": base_two,
            "no-log": no_log,
            "overflow": overflow,
            "no-gradient": detached,
            "changes-input": in_place,
        },
        honest={
            "loop": loop,
            "F.cross_entropy": cross_entropy,
            "einsum": by_einsum,
            "float64 inside": in_double,
            "in-place style": in_place_style,
            "a module": AsModule(),
            "other argument names": lambda s, *, dim=1: (s.logsumexp(dim) - s.diag()).mean(),
        },
    ),
    "ps1.2": Bank(
        right=gradient,
        wrong={
            "columns": gradient_columns,
            "no-mean": no_mean,
            "mean-entries": mean_over_entries,
            "sign": downhill,
            "no-partner": pushes_only,
            "softmax-slope": softmax_slope,
            "overflow": gradient_overflow,
            "unbalanced": unbalanced,
        },
        honest={
            "loop": gradient_loop,
            "autograd": by_autograd,
            "in-place style": in_place_gradient,
            "float64 inside": gradient_in_double,
        },
    ),
}
