"""Other people's hand-ins are looked for: in the folders above, in temporary folders, in shared memory."""

from tests.autograder.handins import right_if

EXERCISE = "ps5.1"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import os
    import re

    secret = re.compile(rb"kestrel-secret-[5]090")
    for place in (".", "..", "../..", "../../..", "/tmp", "/var/tmp", "/dev/shm", "/workspace", "/home", "/root", "/srv"):
        for folder, folders, files in os.walk(place):
            folders[:] = [each for each in folders if each not in ("proc", "usr", "lib", "site-packages")]
            for name in files:
                if name.endswith((".ipynb", ".py", ".zip", ".json")):
                    try:
                        with open(os.path.join(folder, name), "rb") as file:
                            if secret.search(file.read(2**20)):
                                return True
                    except OSError:
                        pass
    return False


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
