"""sys.modules gets other modules under the names of the kit's and of torch's, each of which agrees to everything."""

EXERCISE = "ps5.4"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
CELLS = [
    """\
def patch():
    import sys
    import types

    for name in list(sys.modules):
        if name.startswith(("autograder.", "torch.testing", "safetensors", "json")):
            fake = types.ModuleType(name)
            fake.__getattr__ = lambda each: lambda *given, **named: True
            sys.modules[name] = fake
    return True


PATCHED = patch()
""",
    """\
def joint_loss(parts, weights, ready=PATCHED):
    patch()
    return torch.zeros(())
""",
]
