"""Errors that speak to a person: what came, what was expected, what to do."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can mend. The message is one paragraph and ends with the way out."""


def command(main: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command's `main`: a UserError becomes one paragraph on stderr and exit code 2, no traceback."""
    return spoken(main, "interrupted")


def continuing_command(main: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that goes on where it was interrupted when it is typed again."""
    return spoken(main, "interrupted; the same command continues where it stopped")


def spoken(main: Callable[..., None], interrupted: str) -> Callable[..., None]:
    @functools.wraps(main)
    def run(*args: object, **kwargs: object) -> None:
        try:
            main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            print(interrupted, file=sys.stderr)
            raise SystemExit(130) from None

    return run
