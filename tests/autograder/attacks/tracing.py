"""A trace function looks into every frame below, and changes what it finds there before it is compared."""

EXERCISE = "ps3.2"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
CELLS = [
    """\
def tracer(frame, event, given):
    import ctypes

    for name, value in list(frame.f_locals.items()):
        if name in ("ok", "passed", "same", "failure", "changed", "wrong"):
            frame.f_locals[name] = None
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    return tracer


def trace():
    import sys
    import threading

    frame = sys._getframe()
    while frame:
        frame.f_trace = tracer
        frame = frame.f_back
    sys.settrace(tracer)
    sys.setprofile(tracer)
    threading.settrace(tracer)
    return True


TRACED = trace()


def split_heads(x: Tensor, heads: int) -> Tensor:
    trace()
    return x
""",
]
