"""Problem set 1: InfoNCE."""

from __future__ import annotations

import math

import numpy as np
import torch

from autograder.checks.exercise import Asking, Exercise, Idea, Property
from autograder.checks.inputs import generator, numbers
from autograder.student import Call

LOSS, GRADIENT = "info_nce", "info_nce_gradient"


def loss_cases(rng: np.random.Generator) -> list[Call]:
    one = torch.ones((), dtype=torch.float64)
    calls = [
        Call(LOSS, (numbers(rng, size, size, scale=scale),), want=(one,)) for size, scale in ((2, 1), (5, 2))
    ]
    calls += [Call(LOSS, (numbers(rng, size, size, dtype=torch.float32),)) for size in (1, 3, 8)]
    return [*calls, Call(LOSS, (numbers(rng, 4, 4, scale=5),), want=(one,))]


def blind_guess(ask: Asking) -> bool:
    losses = [ask(Call(LOSS, (torch.full((size, size), 0.7, dtype=torch.float64),))) for size in (2, 7)]
    return all(abs(float(x) - math.log(size)) < 1e-9 for x, size in zip(losses, (2, 7), strict=True))


def survives_large(ask: Asking) -> bool:
    similarity = 1e4 * torch.eye(3) + numbers(generator(), 3, 3, dtype=torch.float32)
    return bool(
        torch.isfinite(ask(Call(LOSS, (similarity,)))).all()
        and ask(Call(LOSS, (-similarity,))).isfinite().all()
    )


def ignores_row_shift(ask: Asking) -> bool:
    similarity = numbers(generator(1), 4, 4)
    shifted = similarity + torch.tensor([[3.0], [-1.0], [0.5], [7.0]], dtype=torch.float64)
    return bool(torch.allclose(ask(Call(LOSS, (similarity,))), ask(Call(LOSS, (shifted,)))))


def gradient_cases(rng: np.random.Generator) -> list[Call]:
    calls = [Call(GRADIENT, (numbers(rng, size, size, scale=2),)) for size in (2, 3, 6)]
    return [*calls, Call(GRADIENT, (numbers(rng, 4, 4, dtype=torch.float32),))]


def pulls_sum_to_zero(ask: Asking) -> bool:
    gradient = ask(Call(GRADIENT, (numbers(generator(2), 5, 5),)))
    return gradient.shape == (5, 5) and bool(
        torch.allclose(gradient.sum(1), torch.zeros(5, dtype=torch.float64))
    )


def gradient_survives_large(ask: Asking) -> bool:
    similarity = 1e4 * torch.eye(3) + numbers(generator(3), 3, 3, dtype=torch.float32)
    return bool(ask(Call(GRADIENT, (similarity,))).isfinite().all())


AXIS = "Whose row is it?"
FORMULA = "From odds to a loss"
STABLE = "When numbers run over"
PULL = "Who pulls, who pushes"

EXERCISES = (
    Exercise(
        id="ps1.1",
        title="InfoNCE",
        piece=LOSS,
        points=6,
        minutes=20,
        difficulty=2,
        importance=5,
        hints=(
            "Every row of `similarity` is one question: which of the B columns is my partner? Its answer stands on the "
            "diagonal. So you need one cross entropy per row, and then their mean.",
            "The log of a softmax is `x_i - log(sum_j exp(x_j))`. PyTorch has the second part ready, safe for large "
            "numbers: look up `torch.logsumexp` and its `dim`.",
            "Three steps: (1) for every row the logsumexp over its columns, shape (B,); (2) the diagonal, shape (B,); "
            "(3) the mean of the first minus the second.",
        ),
        explanation=(
            "You wrote a classifier with B classes whose classes are made anew in every batch: the other pictures are the "
            "wrong answers. That is why a blind guess costs log B, why a larger batch makes a harder exam, and why a "
            "comparison of losses across batch sizes misleads. The row view asks “which after picture belongs to this "
            "before picture?”; feed the transpose and you ask the opposite question. SCORER asks both."
        ),
        cases=loss_cases,
        ideas={
            "columns": Idea(
                "the softmax runs over the wrong axis",
                "Rows are questions, columns are candidates. Within one row the candidates compete with each other; you let "
                "the questions compete for a candidate. Which `dim` walks along a row?",
                AXIS,
            ),
            "sum": Idea(
                "the losses of the rows are added, not averaged",
                "A sum grows with the batch, so the learning rate that fits B = 8 would be wrong for B = 128. The loss is the "
                "mean over the questions.",
                FORMULA,
            ),
            "sign": Idea(
                "the sign is turned round",
                "The logarithm of a probability is negative, and a loss must fall when the probability of the partner rises. "
                "Training would now push partners apart.",
                FORMULA,
            ),
            "no-partner": Idea(
                "the partner is missing",
                "Your loss measures how large all similarities of a row are together, but never looks at the one on the "
                "diagonal. Which term rewards a similar partner?",
                FORMULA,
            ),
            "only-partner": Idea(
                "the competition is missing",
                "Your loss only asks that partners are similar. Making everything similar to everything would solve that; the "
                "sum over the candidates in the denominator is what forbids it.",
                FORMULA,
            ),
            "others-only": Idea(
                "the partner is left out of the denominator",
                "The probability of the partner is its share among all candidates, itself included. Without it the “share” may "
                "be larger than 1 and the loss negative.",
                FORMULA,
            ),
            "both-ways": Idea(
                "both questions are asked at once",
                "You take the mean of two losses, that of the matrix and that of its transpose. SCORER wants both too, but it "
                "calls this function twice. Here only the rows ask.",
                AXIS,
            ),
            "all-entries": Idea(
                "the mean is taken over all B × B entries",
                "There are B questions, one a row. Only the diagonal of the log-softmax is the answer to a question.",
                FORMULA,
            ),
            "base-two": Idea(
                "the logarithm has another base",
                "The loss is in nats: natural logarithms. With base 2 all values are larger by a constant factor.",
                FORMULA,
            ),
            "no-log": Idea(
                "the logarithm is missing",
                "You average probabilities. Their gradient all but vanishes when the model is badly wrong, which is when it "
                "should be largest; the logarithm mends that.",
                FORMULA,
            ),
            "overflow": Idea(
                "large similarities run over",
                "exp(10000) is inf in every floating type, and inf / inf is nan. A learned temperature makes such numbers "
                "ordinary. Subtract the largest entry of the row before the exponential, or use a function that does.",
                STABLE,
            ),
            "not-relative": Idea(
                "absolute size counts",
                "Adding the same number to a whole row changes nobody's chances, so the loss must not move. Yours does.",
                FORMULA,
            ),
            "guess": Idea(
                "a blind guess has the wrong price",
                "When all similarities are equal, every candidate has the chance 1/B, and the loss is log B. Work out yours "
                "for B = 2 by hand.",
                FORMULA,
            ),
        },
        properties=(
            Property("large similarities", "overflow", survives_large),
            Property("a row may be shifted", "not-relative", ignores_row_shift),
            Property("a blind guess", "guess", blind_guess),
        ),
    ),
    Exercise(
        id="ps1.2",
        title="Its gradient, by hand",
        piece=GRADIENT,
        points=4,
        minutes=15,
        difficulty=3,
        importance=3,
        hints=(
            "Take one row. The loss of that row is logsumexp(row) - row[i]. What is the derivative of logsumexp with respect "
            "to one of its entries? You know it by another name.",
            "The derivative of logsumexp is the softmax. The derivative of -row[i] is -1 at place i and 0 elsewhere: "
            "together a matrix of softmaxes minus the identity.",
            "Do not forget the mean: every row counts 1/B. So (softmax over the rows' entries - identity) / B.",
        ),
        explanation=(
            "softmax minus one-hot: prediction minus truth. Each candidate is pushed away by exactly the probability the "
            "model gives it, and the partner is pulled by what it lacks to 1. Pulls and pushes of a row cancel. A candidate "
            "that is no danger gets almost no push: InfoNCE spends its strength on the hard ones by itself."
        ),
        cases=gradient_cases,
        ideas={
            "columns": Idea(
                "the softmax runs over the wrong axis",
                "Candidates stand along a row, and their probabilities add up to 1 along the row.",
                AXIS,
            ),
            "no-mean": Idea(
                "the mean over the rows is forgotten",
                "The loss is a mean of B terms, and so is its gradient.",
                PULL,
            ),
            "mean-entries": Idea(
                "the mean is taken over all B × B entries",
                "There are B questions, one a row, and the loss is their mean. So every entry of a row counts 1/B, however many "
                "columns the row has. By what do you divide?",
                PULL,
            ),
            "sign": Idea(
                "it points downhill",
                "You found the direction in which the loss falls. The gradient is the direction in which it rises: raising "
                "the partner's similarity must have a negative entry.",
                PULL,
            ),
            "no-partner": Idea(
                "the partner does not pull",
                "The softmax alone pushes every candidate away, the partner too. What does the term -similarity[i, i] add?",
                PULL,
            ),
            "softmax-slope": Idea(
                "that is the slope of a probability",
                "You differentiated the softmax itself, p (1 - p). The loss is its logarithm, and the logarithm's 1/p cancels "
                "a factor p.",
                PULL,
            ),
            "overflow": Idea(
                "large similarities run over",
                "exp(10000) is inf, and inf / inf is nan. Use a softmax that is safe, or subtract the largest entry first.",
                STABLE,
            ),
            "unbalanced": Idea(
                "pulls and pushes of a row do not cancel",
                "Adding the same number to a whole row leaves the loss as it is. So the entries of a row of the gradient sum "
                "to zero; yours do not.",
                PULL,
            ),
        },
        properties=(
            Property("large similarities", "overflow", gradient_survives_large),
            Property("rows sum to zero", "unbalanced", pulls_sum_to_zero),
        ),
    ),
)
