"""A memory of answers that holds only so many."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Memory(Generic[Question, Answer]):
    """Remembers the answers, which are never None, to the last `room` questions.

    Threads may share it without a lock: every step is a single one of the dictionary. At worst they find out the same
    answer twice.
    """

    def __init__(self, room: int):
        self.room = room
        self.known: dict[Question, Answer] = {}  # what was asked last stands last

    def recall(
        self, questions: Sequence[Question], find: Callable[[list[Question]], Sequence[Answer]]
    ) -> list[Answer]:
        """The answer to each question. `find` is asked, once, for those that are not known."""
        answers: dict[Question, Any] = {q: self.known.pop(q, None) for q in dict.fromkeys(questions)}
        missing = [question for question, answer in answers.items() if answer is None]
        if missing:
            answers |= zip(missing, find(missing), strict=True)
        self.known.update(answers)
        for oldest in list(self.known)[: -self.room]:
            self.known.pop(oldest, None)
        return [answers[question] for question in questions]
