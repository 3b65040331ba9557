"""Every folder from the root down is written to, and files that belong to the kit or to Python are changed."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.1"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def breached():
    import os
    import sys

    import autograder
    import idc

    files = [autograder.__file__, idc.__file__, torch.__file__, os.__file__, sys.executable, "/etc/passwd", "/etc/hosts"]
    folders = {os.path.dirname(name) for name in files} | {"/", "/usr/local", "/etc", "/home", "/root", sys.prefix}
    done = False
    for folder in folders:
        try:
            open(f"{folder}/idc-was-here-everywhere", "w").close()
            done = True
        except OSError:
            pass
    for name in files:
        for act in (lambda: open(name, "ab").close(), lambda: os.chmod(name, 0o777), lambda: os.rename(name, name + "x")):
            try:
                act()
                done = True
            except OSError:
                pass
    return done


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
