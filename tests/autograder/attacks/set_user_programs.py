"""Programs that run as somebody else are looked for and tried: su, sudo, mount, passwd, newuidmap, ping."""

from tests.autograder.handins import right_if

EXERCISE = "ps3.4"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import os
    import subprocess

    for words in (["su", "-c", "id -u"], ["sudo", "-n", "id", "-u"], ["pkexec", "id", "-u"], ["doas", "id", "-u"]):
        try:
            done = subprocess.run(words, capture_output=True, timeout=1, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.stdout.strip() == b"0":
            return True
    return os.geteuid() == 0 or os.getuid() == 0


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
