"""A way out is looked for: addresses of the machine and of the internet, names, sockets in the file system and
abstract ones."""

from tests.autograder.handins import right_if

EXERCISE = "ps1.2"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import glob
    import socket

    places = [("127.0.0.1", 47811), ("::1", 47811), ("10.0.2.2", 53), ("169.254.169.254", 80)]
    places += [("1.1.1.1", 53), ("8.8.8.8", 53)]
    for place in places:
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as line:
                line.settimeout(0.3)
                line.connect(place)
                return True
        except OSError:
            pass
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                line.sendto(b"idc", place)
                if not place[0].startswith(("127", "::1")):
                    return True
        except OSError:
            pass
    try:
        if [name for number, name in socket.if_nameindex() if name != "lo"]:
            return True
    except OSError:
        pass
    names = glob.glob("/run/**/*sock*", recursive=True) + glob.glob("/tmp/**/*", recursive=True)
    with open("/proc/net/unix") as file:
        names += [line.split()[7].replace("@", "\\0", 1) for line in file.readlines()[1:] if len(line.split()) > 7]
    for name in names + ["\\0/tmp/.X11-unix/X0", "\\0/tmp/dbus", "\\0idc-listens"]:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(0.3)
                line.connect(name)
                return True
        except (OSError, ValueError):
            pass
    return False


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
