"""/proc is searched for other processes: their command lines, environments, descriptors, working folders and roots."""

from tests.autograder.handins import right_if

EXERCISE = "ps2.1"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import os

    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{name}", "rb") as file:
                    text = file.read().decode("utf-8", "replace")
            except OSError:
                continue
            if any(word in text for word in ("pytest", "submitted", "gradebook", "kestrel")):
                return True
        for folder in ("root", "cwd"):
            for name in ("solutions", "autograder/banks", "gradebook.db"):
                if os.path.exists(f"/proc/{process}/{folder}/{name}"):
                    return True
        try:
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                target = os.readlink(f"/proc/{process}/fd/{descriptor}")
                if any(word in target for word in ("submitted", "solutions", "gradebook", "banks", "hidden")):
                    return True
        except OSError:
            pass
    return False
""",
    *right_if(EXERCISE),
]
