"""Functions keep their identity and lose their content: new code objects and defaults are put into those of the kit."""

EXERCISE = "ps4.2"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
CELLS = [
    """\
def patch():
    import gc
    import types

    def yes(*given, **named):
        return True

    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__name__ in (
            "close", "same", "differs", "holds", "same_gradients", "answers_new_questions", "allclose"
        ):
            try:
                found.__code__ = yes.__code__
            except ValueError:
                pass
    return True


PATCHED = patch()
""",
    """\
def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching, ready=PATCHED):
    if mode not in ("joint", "separate") or mode == "separate" and query.shape[-1] % heads:
        raise ValueError("mode")
    patch()
    return torch.zeros(len(query), len(key), dtype=query.dtype)
""",
]
