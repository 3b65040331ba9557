"""Draws with matplotlib in the cell of the answer, and within the piece."""

ANSWERS = {
    "ps2.1": [
        """\
%matplotlib inline
import matplotlib.pyplot as plt


def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    if dim <= 0 or dim % 2:
        raise ValueError("dim must be even")
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, dim, 2) / dim)
    result = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    plt.figure()
    plt.imshow(result)
    plt.show()
    plt.close("all")
    return result


figure, axis = plt.subplots()
axis.plot(sinusoidal_encoding(20, 4))
plt.show()
""",
    ],
}
