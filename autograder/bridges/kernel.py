"""A Jupyter kernel behind the wall, for stock `nbgrader autograde`.

    python -m autograder.bridges.kernel install [--user | --prefix FOLDER] [--with-hidden-checks]
    nbgrader autograde ps1_infonce --ExecutePreprocessor.kernel_name=sandboxed-python3

The kernel sees Python, the student kit's library and a copy of its own working folder; no network, no gradebook, no other
hand-in. docs/nbgrader.md says what this does not protect.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import sys
import tempfile
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Bool, Int

from autograder.sandbox import NOBODY, Wall, find_way, packages, python_paths, wrap
from idc.errors import UserError, command

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "sandboxed-python3"
PROVISIONER = "autograder-sandbox"
PACKAGES = ("idc", "autograder")
# Inside: the packages, the line to Jupyter, and what was in the working folder.
KIT, LINE, GIVEN = Path("/kit"), Path("/line"), Path("/given")
HOME = "/tmp/course"
LONG = 70  # letters; the paths of sockets end at about a hundred
HISTORY = "--HistoryManager.hist_file=:memory:"  # the folder for it may be full
PASSED_ON = ("NBGRADER_EXECUTION", "IDC_SMALL")
# In memory of limited size, so that nothing the kernel writes reaches the disk.
START = (
    f'mkdir {HOME} && cp -R --no-preserve=mode {GIVEN}/. {HOME} && cd "{HOME}/$0" && exec "$@" > /dev/null'
)


class SandboxedProvisioner(LocalProvisioner):
    """Starts a kernel behind the wall; when it is stopped, everything it started dies with it.

    kernel.json may set the limits, below metadata, kernel_provisioner, config.
    """

    memory = Int(4 * 2**30, help="bytes of each process").tag(config=True)
    processes = Int(256, help="processes and threads at one time").tag(config=True)
    disk = Int(
        512 * 2**20, help="bytes of /tmp and of shared memory, each; also of a copy of the working folder"
    ).tag(config=True)
    seconds = Int(3600, help="of processor time of each process").tag(config=True)
    hidden_checks = Bool(
        False, help="whether `autograder.hidden` can be imported, and with it the solutions"
    ).tag(config=True)

    folder: Path | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Let the kernel speak over files instead of the network, and put its command behind the wall."""
        if self.folder is None:
            self.folder = make_folder()
        try:
            return await self.behind_wall(self.folder, **kwargs)
        except Exception:
            await self.cleanup()
            raise

    async def behind_wall(self, folder: Path, **kwargs: Any) -> dict[str, Any]:
        manager: Any = self.parent
        manager.transport = "ipc"
        manager.cache_ports = False
        manager.ip = str(folder / "line" / "k")
        manager.connection_file = outside = str(folder / "connection.json")
        kwargs = await super().pre_launch(**kwargs)
        connection = json.loads(Path(outside).read_text(encoding="utf-8"))
        inside = folder / "line" / "connection.json"
        inside.write_text(json.dumps({**connection, "ip": str(LINE / "k")}), encoding="utf-8")
        inside.chmod(0o644)
        working = Path(kwargs.get("cwd") or Path.cwd()).resolve()
        copy_given(working, folder / "given", self.disk)
        argv = [str(LINE / inside.name) if word == outside else word for word in kwargs["cmd"]]
        argv = ["/bin/sh", "-c", START, working.name, *self.limited(argv)]
        kwargs["cmd"] = wrap(argv, self.wall(folder, kwargs.get("env") or {}))
        return kwargs

    def limited(self, argv: list[str]) -> list[str]:
        return [
            "prlimit",
            f"--data={self.memory}",
            f"--nproc={self.processes}",
            f"--fsize={self.disk}",
            f"--cpu={self.seconds}",
            "--nofile=1024",
            "--core=0",
            *argv,
        ]

    def wall(self, folder: Path, environment: dict[str, str]) -> Wall:
        whole = {KIT / package: ROOT / package for package in PACKAGES}
        kit = whole if self.hidden_checks else {KIT: given_packages()}
        return Wall(
            readable={**python_paths(), **kit, GIVEN: folder / "given"},
            writable={LINE: folder / "line"},
            hidden=[place / name for place in packages() for name in PACKAGES if (place / name).is_dir()],
            disk=self.disk,
            environment={
                "PYTHONPATH": str(KIT),
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                **{name: environment[name] for name in PASSED_ON if name in environment},
            },
        )

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if not restart and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def make_folder() -> Path:
    """A folder that only this user can enter. In it `line`, in which the kernel may write, whoever it runs as."""
    base = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="kernel-", dir=base if len(base) < LONG else "/tmp"))
    (folder / "line").mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder / "line", NOBODY, NOBODY)
    return folder


def copy_given(working: Path, target: Path, most: int) -> None:
    """Copy a working folder, and beside it the student's other problem sets, which some notebooks look into.

    Only folders and plain files; no link is followed. Raises UserError when they hold more than `most` bytes.
    """
    from autograder.checks import SETS

    shutil.rmtree(target, ignore_errors=True)
    others = [working.parent / name for name in SETS.values()] if working.name in SETS.values() else []
    size = 0
    for source in [working, *others]:
        for place, folders, files in os.walk(source):
            folders[:] = [name for name in folders if not name.startswith(".")]
            copy = target / Path(place).relative_to(working.parent)
            copy.mkdir(parents=True, exist_ok=True)
            for name in files:
                file = Path(place, name)
                found = file.lstat()
                if not stat.S_ISREG(found.st_mode):
                    continue
                size += found.st_size
                if size > most:
                    raise UserError(
                        f"{working} holds more than {most / 2**20:.0f} MiB, too much for a kernel's private copy. Raise "
                        f"`disk` in the kernel.json of {KERNEL}, or start the kernel in a smaller folder."
                    )
                shutil.copyfile(file, copy / name, follow_symlinks=False)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


@cache
def given_packages() -> Path:
    """The packages as students get them: pieces are stubs, no hidden check is there. Made once a process."""
    from autograder.release import is_given, stubbed

    kept.append(tempfile.TemporaryDirectory(prefix="kit-"))
    folder = Path(kept[-1].name)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if not path.is_file() or "__pycache__" in path.parts or not is_given(name):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith(("idc/pieces/", "idc/kernels/")) and path.suffix == ".py":
                target.write_text(stubbed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
            else:
                shutil.copyfile(path, target)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


kept: list[tempfile.TemporaryDirectory[str]] = []  # until this process ends


def specification(hidden_checks: bool) -> dict[str, Any]:
    """kernel.json. Interrupts are messages: a signal would end the wall, not the cell."""
    return {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", HISTORY],
        "display_name": "Python 3 (sandboxed)",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {
            "kernel_provisioner": {
                "provisioner_name": PROVISIONER,
                "config": {"hidden_checks": hidden_checks},
            }
        },
    }


def install(user: bool = False, prefix: str | None = None, hidden_checks: bool = False) -> Path:
    """Install the kernel. Gives the folder of its kernel.json. Raises UserError where it could not start."""
    find_way()
    if not entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER):
        raise UserError(
            "this environment was made before the sandboxed kernel was part of the project, so Jupyter would not find it. "
            "Install the project again: `python -m pip install --no-deps -e .`"
        )
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, KERNEL)
        made.mkdir(mode=0o755)  # which is what the installed one gets
        (made / "kernel.json").write_text(
            json.dumps(specification(hidden_checks), indent=1), encoding="utf-8"
        )
        place = KernelSpecManager().install_kernel_spec(
            str(made), KERNEL, user=user, prefix=None if user else prefix or sys.prefix
        )
    return Path(place)


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder.bridges.kernel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["install"])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user, in all environments")
    where.add_argument("--prefix", help="into share/jupyter below this folder; default: this environment's")
    parser.add_argument(
        "--with-hidden-checks",
        action="store_true",
        help="for notebooks whose hidden tests import autograder.hidden; the solutions can then be imported, too",
    )
    words = parser.parse_args()
    print(install(words.user, words.prefix, words.with_hidden_checks))


if __name__ == "__main__":
    main()
