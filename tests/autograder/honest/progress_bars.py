"""Progress bars of tqdm, which writes to stderr, around the loops of the piece."""

ANSWERS = {
    "ps1.2": [
        """\
from tqdm import tqdm, trange
from tqdm.auto import tqdm as automatic


def info_nce_gradient(similarity: Tensor) -> Tensor:
    size = len(similarity)
    rows = []
    for number in trange(size, desc="rows"):
        rows.append(similarity[number].softmax(0))
    result = torch.stack(list(automatic(rows, leave=False)))
    for number in tqdm(range(size)):
        result[number, number] -= 1
    return result / size
""",
    ],
}
