"""Every function of the worker's own modules is replaced by one that answers with whatever the caller would like."""

EXERCISE = "ps3.2"
OUTCOMES = {"wrong", "tampered", "stopped", "not attempted"}
SAYS = ()
CELLS = [
    """\
class Agreeable:
    def __getattr__(self, name):
        return Agreeable()

    def __call__(self, *given, **named):
        return Agreeable()

    def __eq__(self, other):
        return True

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return True


def patch():
    import sys
    import types

    for name, module in list(sys.modules.items()):
        if name.startswith(("autograder", "idc")) and isinstance(module, types.ModuleType):
            for each, found in list(vars(module).items()):
                if isinstance(found, types.FunctionType):
                    setattr(module, each, Agreeable())
    return True
""",
    """\
def split_heads(x: Tensor, heads: int) -> Tensor:
    patch()
    return x
""",
]
