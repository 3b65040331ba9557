"""The whole disk is searched for the instructor's notebooks, the banks and a git history."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.3"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import os

    wanted = {"solutions", "banks", "gradebook.db", ".git", "nbgrader_config.py", "hidden.py", "release.py"}
    for root in ("/home", "/root", "/srv", "/mnt", "/media", "/opt", "/tmp", "/var", "/run", "/data", os.getcwd(),
                 *os.environ.get("PYTHONPATH", "").split(":"), os.path.dirname(os.path.dirname(autograder_home()))):
        for folder, folders, files in os.walk(root or "/nowhere"):
            if folder.count("/") > 7 or "site-packages" in folder:
                folders.clear()
            if wanted & {*folders, *files} and not folder.startswith(("/usr/lib/python", "/usr/share")):
                return True
    return False


def autograder_home():
    import autograder

    return autograder.__file__


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
