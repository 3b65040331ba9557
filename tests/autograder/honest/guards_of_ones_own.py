"""Own checks of arguments, own exceptions, try and finally, context managers, decorators that count and time."""

ANSWERS = {
    "ps2.1": [
        """\
import contextlib
import functools
import time


class OddWidth(ValueError):
    pass


COUNTS = {}


def counted(function):
    @functools.wraps(function)
    def inside(*given, **named):
        COUNTS[function.__name__] = COUNTS.get(function.__name__, 0) + 1
        start = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            print(time.perf_counter() - start)

    return inside


@contextlib.contextmanager
def no_gradient():
    with torch.no_grad():
        yield


@counted
@torch.no_grad()
def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    if dim % 2 or dim < 2:
        raise OddWidth(f"no width: {dim}")
    assert length >= 0, "negative"
    with no_gradient():
        angle = torch.arange(length).unsqueeze(1) * torch.exp(-math.log(1e4) * torch.arange(0, dim, 2) / dim)
        return torch.dstack([torch.sin(angle), torch.cos(angle)]).flatten(1)
""",
    ],
}
