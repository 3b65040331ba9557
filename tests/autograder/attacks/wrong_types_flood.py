"""What comes back changes with every call: complex, quantised, sparse, on no device, nested, of eight bits,
without entries."""

EXERCISE = "ps4.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
CELLS = [
    """\
CALLS = []


def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    if mode not in ("joint", "separate") or mode == "separate" and query.shape[-1] % heads:
        raise ValueError("mode")
    CALLS.append(1)
    zero = torch.zeros(len(query), len(key))
    kinds = (
        lambda: zero.to(torch.complex64),
        lambda: torch.quantize_per_tensor(zero, 0.1, 0, torch.qint8),
        lambda: zero.to_sparse(),
        lambda: zero.to("meta"),
        lambda: torch.nested.nested_tensor([zero, zero]),
        lambda: zero.to(torch.float8_e4m3fn),
        lambda: torch.empty(0, 3, 0),
        lambda: zero.to_mkldnn(),
        lambda: torch.zeros((1,) * 40),
        lambda: torch.nn.Parameter(zero),
        lambda: torch._C._functorch._add_batch_dim(zero, 0, 1),
        lambda: zero.to(torch.bool),
    )
    return kinds[len(CALLS) % len(kinds)]()
""",
]
