"""Results are nested a hundred thousand deep, contain themselves, or have a million fields with long names."""

EXERCISE = "ps4.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
WAIT = 3
CELLS = [
    """\
CALLS = []


class Wide:
    def __init__(self):
        self.__dict__.update({f"{number}" * 100: torch.zeros(()) for number in range(10**5)})


def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    CALLS.append(1)
    if len(CALLS) % 3 == 0:
        return Wide()
    result = [torch.zeros(1)]
    if len(CALLS) % 3 == 1:
        result.append(result)
        return result
    for _ in range(10**5):
        result = (result,)
    return result
""",
]
