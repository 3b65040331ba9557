"""Pieces that are static methods, bound methods and results of a factory."""

ANSWERS = {
    "ps2.2": [
        """\
class Encodings:
    order = ("column", "row")

    @staticmethod
    def repeat(x, dim, times):
        return x.unsqueeze(dim).expand(*((times, -1, -1) if dim == 0 else (-1, times, -1)))

    def grid(self, column, row):
        parts = {"column": self.repeat(column, 0, len(row)), "row": self.repeat(row, 1, len(column))}
        return torch.cat([parts[name] for name in self.order], dim=-1)


grid_encoding = Encodings().grid
""",
    ],
    "ps2.1": [
        """\
def make_encoding(base):
    def encode(length, dim):
        if dim <= 0 or dim % 2:
            raise ValueError("even, please")
        angle = torch.arange(length)[:, None] / base ** (torch.arange(0, dim, 2) / dim)
        result = torch.zeros(length, dim)
        result[:, 0::2], result[:, 1::2] = angle.sin(), angle.cos()
        return result

    return encode


sinusoidal_encoding = make_encoding(10000.0)
""",
    ],
}
