"""The worker's own memory is searched, byte by byte, for what a warm parent may have left in it."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.1"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    secrets = ((b"brass-wren-", 7421), (b"kestrel-secret-", 5090))  # in parts, so that these lines are not found
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, rights, *_ = line.split()
            first, last = (int(part, 16) for part in area.split("-"))
            if not rights.startswith("rw"):
                continue
            rest = b""
            for start in range(first, min(last, first + 2**27), 2**22):
                try:
                    memory.seek(start)
                    part = rest + memory.read(min(2**22, last - start))
                except (OSError, ValueError):
                    break
                for name, number in secrets:
                    place = part.find(name)
                    while place >= 0:
                        after = part[place + len(name) :][:4]
                        if after.isdigit() and int(after) == number:
                            return True
                        place = part.find(name, place + 1)
                rest = part[-64:]
    return False


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
