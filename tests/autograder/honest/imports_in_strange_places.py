"""Imports in try, in if, in functions and of libraries that are not installed."""

ANSWERS = {
    "ps1.1": [
        """\
try:
    import wandb
    import einops
except ImportError:
    wandb = einops = None

try:
    from torchmetrics import Accuracy
except Exception as error:
    print("never mind", error)

if wandb is not None:
    wandb.init()
if True:
    import torch.nn.functional as functional
else:
    functional = None


def info_nce(similarity: Tensor) -> Tensor:
    from torch import arange

    if wandb:
        wandb.log({})
    return functional.cross_entropy(similarity, arange(len(similarity)))
""",
        "import not_installed_anywhere\nfrom also_not_installed import something\n",
    ],
}
