"""A dictionary that remembers only so much."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(dict[Key, Value], Generic[Key, Value]):
    """Forgets what was put in first when it holds more than `room` items."""

    def __init__(self, room: int):
        super().__init__()
        self.room = room

    def update(self, pairs: Iterable[tuple[Key, Value]]) -> None:  # type: ignore[override]
        for key, value in pairs:
            self[key] = value

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        while len(self) > self.room:
            del self[next(iter(self))]
