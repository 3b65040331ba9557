"""Every single call takes a moment, always less than a limit on one call: it is the sum that stalls the batch."""

EXERCISE = "ps4.4"
OUTCOMES = {"stopped", "wrong"}
SAYS = ()
WAIT = 3
CELLS = [
    """\
def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    import time

    time.sleep(0.9)
    return F.linear(torch.cat([before, after], dim=-1), weight, bias).relu() * 2
""",
]
