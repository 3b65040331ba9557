"""torch is changed for whoever comes after: default type, device, gradients, threads, seeds, determinism, warnings."""

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "stopped"}
SAYS = "not yet"
CELLS = [
    """\
def poison():
    import random
    import warnings

    import numpy as np

    torch.set_default_dtype(torch.bfloat16)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.set_anomaly_enabled(True)
    torch.set_num_threads(64)
    torch.set_printoptions(threshold=10**9)
    torch.set_flush_denormal(True)
    warnings.simplefilter("error")
    np.seterr(all="raise")
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    return True


POISONED = poison()


def info_nce(similarity: Tensor, ready=POISONED) -> Tensor:
    poison()
    return similarity.sum()
""",
]
