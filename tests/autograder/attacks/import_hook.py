"""Imports of the checks are answered by a finder of the student's, and __import__ is replaced as well."""

EXERCISE = "ps1.2"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
CELLS = [
    """\
def hook():
    import builtins
    import importlib.abc
    import importlib.machinery
    import sys
    import types

    class Agreeable(types.ModuleType):
        __path__ = []

        def __getattr__(self, name):
            return lambda *given, **named: 4.0

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            if name.startswith(("autograder", "numpy.testing", "torch.testing")):
                return importlib.machinery.ModuleSpec(name, self)

        def create_module(self, spec):
            return Agreeable(spec.name)

        def exec_module(self, module):
            pass

    sys.meta_path.insert(0, Finder())
    for name in [name for name in sys.modules if name.startswith("autograder")]:
        del sys.modules[name]
    original = builtins.__import__

    def replaced(name, *given, **named):
        return Agreeable(name) if name.startswith("autograder") else original(name, *given, **named)

    builtins.__import__ = replaced
    return True


HOOKED = hook()
check = lambda *given: 4.0
""",
    """\
def info_nce_gradient(similarity: Tensor, ready=HOOKED) -> Tensor:
    return similarity * 0
""",
]
