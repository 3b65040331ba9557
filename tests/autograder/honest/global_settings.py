"""Seeds, default type, threads, printing and gradients are set for the whole process, on top of a cell."""

ANSWERS = {
    "ps2.2": [
        """\
import random
import warnings

import numpy as np

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(2)
torch.set_printoptions(precision=10, sci_mode=False)
torch.autograd.set_detect_anomaly(True)
warnings.filterwarnings("ignore")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    column, row = column.to(device), row.to(device)
    across, down = column[None].expand(len(row), -1, -1), row[:, None].expand(-1, len(column), -1)
    return torch.cat([across, down], dim=-1)
""",
    ],
}
FULL = ("ps2.2", "ps2.1")
