"""A wall around a process: it sees what it is given, reaches no network, and cannot get at anybody else.

    argv = wrap(["python", "-c", "…"], Wall(readable=[…]))

`bubblewrap` builds the wall where it is installed, `unshare` of util-linux otherwise. Both need Linux with user
namespaces, or root. `find_way()` says which of them works here, and why none does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from idc.errors import UserError

NOBODY = 65534
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
# Of /etc, what the linker, time zones and fonts need; nothing about this machine's people or network.
ETC = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/fonts",
)
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "USER": "student",
    "LOGNAME": "student",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp/matplotlib",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
CLEARED = ("/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
WHAT_TO_DO = (
    "Install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`) and allow user namespaces "
    "(on Ubuntu 24.04 and later: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`), or grade in a virtual machine or "
    "a container that may make namespaces (`--privileged`). --unsafe grades without a wall and marks every result."
)


@dataclass(frozen=True)
class Wall:
    """What a process behind it may see and do.

    readable: inside -> outside. writable: likewise, to read and write. hidden: folders inside that are to be
    empty. folder: where it starts. disk: bytes of /tmp and of shared memory, each. environment: beyond ENVIRONMENT; nothing
    else is passed. nests: whether it may build walls of its own.
    """

    readable: Mapping[Path, Path] = field(default_factory=dict)
    writable: Mapping[Path, Path] = field(default_factory=dict)
    hidden: Sequence[Path] = ()
    folder: Path = Path("/tmp")
    disk: int = 256 * 2**20
    environment: Mapping[str, str] = field(default_factory=dict)
    nests: bool = False


def python_paths() -> dict[Path, Path]:
    """What a Python of this environment needs, besides the system."""
    roots = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1], *packages()}
    return {path: path for path in roots if not str(path).startswith(("/usr", "/lib"))}


def packages() -> list[Path]:
    """Where packages are installed, PYTHONPATH included."""
    places = [Path(place) for place in sys.path if place]
    return [place for place in places if place.name in ("site-packages", "dist-packages") and place.is_dir()]


@cache
def find_way() -> str:
    """“bubblewrap” or “unshare”, whichever works here. Raises UserError when none does."""
    reasons = []
    for way in ("bubblewrap", "unshare"):
        argv = BUILDERS[way](["/bin/sh", "-c", "echo inside"], Wall(nests=True))
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{way}: {error}")
            continue
        if done.stdout == "inside\n":
            return way
        reasons.append(f"{way}: {done.stderr.strip()[-200:] or f'exit code {done.returncode}'}")
    raise UserError(f"no wall can be built around student code here ({'; '.join(reasons)}). {WHAT_TO_DO}")


def wrap(argv: Sequence[str], wall: Wall, way: str = "") -> list[str]:
    """The command that runs `argv` behind a wall. Raises UserError where none can be built."""
    return BUILDERS[way or find_way()](list(argv), wall)


def seen(wall: Wall) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """(links of the system, paths to read) inside -> outside."""
    links, paths = {}, {}
    for name in (*SYSTEM, *ETC):
        path = Path(name)
        if path.is_symlink():
            links[path] = path.readlink()
        elif path.exists():
            paths[path] = path
    return links, paths | dict(wall.readable)


def program(name: str) -> str:
    """Where a program lies; its name if it lies nowhere."""
    return shutil.which(name) or name


def folders_above(paths: Sequence[Path]) -> list[Path]:
    """All folders that lead to some paths, outermost first."""
    return sorted({parent for path in paths for parent in path.parents} - {Path("/")})


def drop(argv: list[str]) -> list[str]:
    """Give up root before a command: limits on processes do not hold for it."""
    return [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        *argv,
    ]


def bubblewrap(argv: list[str], wall: Wall) -> list[str]:
    links, readable = seen(wall)
    root = os.geteuid() == 0
    words = [*CLEARED, program("bwrap"), "--die-with-parent", "--new-session", "--clearenv"]
    words += [
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "worker",
    ]
    words += ["--cap-drop", "ALL"]
    if root:
        for capability in ("SETUID", "SETGID", "SETPCAP", "SYS_ADMIN"):  # until `drop`
            words += ["--cap-add", f"CAP_{capability}"]
    else:
        words += ["--unshare-user"] + ([] if wall.nests else ["--disable-userns"])
    words += ["--dev", "/dev", "--perms", "1777", "--size", str(wall.disk), "--tmpfs", "/dev/shm"]
    words += ["--proc", "/proc", "--perms", "1777", "--size", str(wall.disk), "--tmpfs", "/tmp"]
    for parent in folders_above([*links, *readable, *wall.writable, Path("/dev/shm/x")]):
        words += ["--perms", "0755", "--dir", str(parent)]
    for inside, target in links.items():
        words += ["--symlink", str(target), str(inside)]
    for inside, outside in readable.items():
        words += ["--ro-bind", str(outside), str(inside)]
    for inside, outside in wall.writable.items():
        words += ["--bind", str(outside), str(inside)]
    for path in wall.hidden:
        words += ["--tmpfs", str(path)]
    for name, value in (ENVIRONMENT | dict(wall.environment)).items():
        words += ["--setenv", name, value]
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(wall.folder), "--"]
    if not root:
        return [*words, *argv]
    # A fresh /proc without bubblewrap's covers, so that walls within the wall may have their own.
    inner = f"mount -t proc proc /proc && exec {shlex.join(drop(argv))}"
    return [*words, "/bin/sh", "-c", inner]


def unshare(argv: list[str], wall: Wall) -> list[str]:
    """The same by hand: a new root in memory with what may be seen, and nothing else."""
    links, readable = seen(wall)
    root = os.geteuid() == 0
    binds = {inside: (outside, "ro") for inside, outside in readable.items()}
    binds |= {inside: (outside, "rw") for inside, outside in wall.writable.items()}
    binds |= {
        Path("/dev", name): (Path("/dev", name), "rw")
        for name in ("null", "zero", "full", "random", "urandom")
    }
    new = covered([outside for outside, _ in binds.values()])
    lines = [
        "set -e",
        "hostname worker",
        "ip link set lo up 2>/dev/null || true",
        "mount --make-rprivate /",
        f"mount -t tmpfs -o mode=0755,size=16m wall {new}",
        f"mkdir -p {new}/proc {new}/dev/shm {new}/tmp {new}/.old",
        f"mount -t proc proc {new}/proc",
        f"mount -t tmpfs -o mode=1777,size={wall.disk} shm {new}/dev/shm",
        f"mount -t tmpfs -o mode=1777,size={wall.disk} tmp {new}/tmp",
        f"ln -s /proc/self/fd {new}/dev/fd",
    ]
    for inside, target in links.items():
        lines += [f"mkdir -p {quoted(new, inside.parent)}", f"ln -s {quoted(target)} {quoted(new, inside)}"]
    for inside, (outside, mode) in binds.items():
        place = quoted(new, inside)
        lines.append(
            f"mkdir -p {place}" if outside.is_dir() else f"mkdir -p {quoted(new, inside.parent)}; : > {place}"
        )
        lines.append(f"mount --rbind {quoted(outside)} {place}")
        if mode == "ro":  # what is mounted without devices or set-user-id programs must stay so
            lines.append(f"mount -o remount,bind,ro {place} || mount -o remount,bind,ro,nosuid,nodev {place}")
    lines += [f"mount -t tmpfs -o size=1m hidden {quoted(new, path)}" for path in wall.hidden]
    lines += [
        f"cd {new}",
        "pivot_root . .old",
        "umount -l /.old",
        "mount -o remount,bind,ro /",
        f"cd {quoted(wall.folder)}",
        'exec "$@"',
    ]
    words = [
        *CLEARED,
        program("unshare"),
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--net",
        "--ipc",
        "--uts",
    ]
    words += [] if root else ["--user", "--map-root-user"]
    words += ["/bin/sh", "-c", "\n".join(lines), "wall"]
    if root:
        words += drop([])
    else:  # not root even in there: a world within could not be made of root
        words += ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--keep-caps"]
        words += [
            "setpriv",
            "--no-new-privs",
            "--ambient-caps=-all",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]
    pairs = [f"{name}={value}" for name, value in (ENVIRONMENT | dict(wall.environment)).items()]
    return [*words, "env", "-i", *pairs, *argv]


def covered(needed: Sequence[Path]) -> Path:
    """A folder that nothing needed lies in: the new root covers it while it is built."""
    for name in ("/mnt", "/media", "/srv", "/opt", "/var/tmp", "/tmp"):
        path = Path(name)
        if path.is_dir() and not any(each == path or path in each.parents for each in needed):
            return path
    raise UserError("there is no empty place to build a wall from; make the folder /mnt.")


def quoted(*parts: Path) -> str:
    """A path for the shell; a later absolute path is taken as one below the first."""
    first, *rest = map(str, parts)
    return shlex.quote("/".join([first.rstrip("/"), *(part.lstrip("/") for part in rest)]))


BUILDERS = {"bubblewrap": bubblewrap, "unshare": unshare}
