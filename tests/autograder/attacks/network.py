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

    # A port of this machine, and addresses that belong to nobody: a packet can be sent to these where there is a way out.
    places = [("127.0.0.1", 47811 + number) for number in range(8)] + [("192.0.2.1", 53), ("2001:db8::1", 80)]
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
    for name in names + ["\\0/tmp/.X11-unix/X0", "\\0/tmp/dbus", *(f"\\0idc-listens-{number}" for number in range(8))]:
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
