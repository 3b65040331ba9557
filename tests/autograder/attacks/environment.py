"""The environment is searched for secrets of the grader's, also that of other processes."""

from tests.autograder.handins import right_if

EXERCISE = "ps2.2"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import os
    import re

    secret = re.compile("kestrel-secret-[5]090")
    texts = ["\\n".join(f"{name}={value}" for name, value in os.environ.items())]
    for process in ["self", *filter(str.isdigit, os.listdir("/proc"))]:
        try:
            with open(f"/proc/{process}/environ", errors="replace") as file:
                texts.append(file.read())
        except OSError:
            pass
    return any(secret.search(text) for text in texts)
""",
    *right_if(EXERCISE),
]
