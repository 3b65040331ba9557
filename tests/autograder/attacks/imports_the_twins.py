"""The fast twin of the piece is taken from the kernels, under every name that it may have."""

EXERCISE = "ps4.1"
OUTCOMES = {"wrong", "not attempted"}
SAYS = ()
CELLS = [
    """\
def token_matching(query, key):
    import importlib
    import pkgutil

    import idc.kernels

    for found in pkgutil.walk_packages(idc.kernels.__path__, "idc.kernels."):
        module = importlib.import_module(found.name)
        for name, each in vars(module).items():
            if "match" in name and callable(each):
                try:
                    result = each(query, key)
                except (TypeError, ValueError):
                    continue
                if isinstance(result, Tensor) and result.shape == (len(query), len(key)):
                    return result
    raise NotImplementedError
""",
]
