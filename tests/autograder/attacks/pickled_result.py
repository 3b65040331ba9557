"""The result, the exception and its arguments carry __reduce__: whoever unpickles them runs a command of the
student's."""

EXERCISE = "ps5.4"
SAYS = "not yet"
CELLS = [
    """\
class Loaded(Exception):
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/idc-was-here-pickle ../idc-was-here-pickle",)

    def __getstate__(self):
        return self.__reduce__()


def joint_loss(parts, weights):
    if len(parts) % 2:
        raise Loaded(Loaded())
    return Loaded()
""",
]
