"""python -m idc.visdom_server [--port 8097]: visdom's server, also where there is no internet.

visdom fetches some thirty scripts and fonts from public servers whenever it starts, and does not start without them.
Here they are fetched once, into a cache folder of the user: with `npm pack` from whatever registry, mirror or cache
npm is set up with, or, where there is no npm, from where visdom gets them itself. From then on no network is needed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

from idc.errors import UserError, command

FILES = {  # npm package -> file inside it -> where visdom's page looks for it, below static/
    "jquery@3.1.1": {"dist/jquery.min.js": "js/jquery.min.js"},
    "bootstrap@3.3.7": {
        "dist/js/bootstrap.min.js": "js/bootstrap.min.js",
        "dist/css/bootstrap.min.css": "css/bootstrap.min.css",
        **{
            f"dist/fonts/glyphicons-halflings-regular.{kind}": f"fonts/glyphicons-halflings-regular.{kind}"
            for kind in ("eot", "svg", "ttf", "woff", "woff2")
        },
    },
    "react@16.2.0": {"umd/react.production.min.js": "js/react-react.min.js"},
    "react-dom@16.2.0": {"umd/react-dom.production.min.js": "js/react-dom.min.js"},
    "react-modal@3.1.10": {"dist/react-modal.min.js": "js/react-modal.min.js"},
    "plotly.js-dist-min@2.11.1": {"plotly.min.js": "js/plotly-plotly.min.js"},
    "sjcl@1.0.7": {"sjcl.js": "js/sjcl.js"},
    "layout-bin-packer@1.4.0": {
        "dist/layout-bin-packer.js": "js/layout_bin_packer.js",
        "dist/layout-bin-packer.js.map": "js/layout-bin-packer.js.map",
    },
    "d3@3.5.17": {"d3.min.js": "js/d3.v3.min.js"},
    "d3-selection-multi@1.0.1": {"build/d3-selection-multi.js": "js/d3-selection-multi.v1.js"},
    "save-svg-as-png@1.4.17": {"lib/saveSvgAsPng.js": "js/saveSvgAsPng.js"},
    "react-resizable@1.4.6": {"css/styles.css": "css/react-resizable-styles.css"},
    "react-grid-layout@0.16.3": {"css/styles.css": "css/react-grid-layout-styles.css"},
    "classnames@2.2.5": {"index.js": "fonts/classnames"},
    "mathjax@2.7.5": {
        path: f"js/mathjax/2.7.5/{path}"
        for path in (
            "MathJax.js",
            "config/Safe.js",
            "config/TeX-AMS-MML_HTMLorMML.js",
            "extensions/Safe.js",
            "jax/output/SVG/fonts/TeX/fontdata.js",
            "jax/output/SVG/jax.js",
            "jax/output/SVG/fonts/TeX/Size1/Regular/Main.js",
            "jax/output/SVG/config.js",
        )
    },
}

# Nothing of a package is run; what npm has in its cache is good enough; a machine without network is told so soon.
NPM_FLAGS = ("--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")


def cache_folder() -> Path:
    """Where the page's files are kept, by visdom version; IDC_CACHE moves it."""
    base = os.environ.get("IDC_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "idc"
    )
    return Path(base) / f"visdom-{importlib.metadata.version('visdom')}"


def visdom_static() -> Path:
    """The static files that the visdom package itself brings, without importing it."""
    found = importlib.util.find_spec("visdom")
    if found is None or found.origin is None:
        raise UserError(
            "visdom is not installed. Install it as requirements.txt has it, or use TensorBoard: logger=[tensorboard]."
        )
    return Path(found.origin).parent / "static"


def archive_name(package: str) -> str:
    """What `npm pack` calls the archive of "name@1.2.3"."""
    return package.replace("@", "-") + ".tgz"


def fetch_with_npm(static: Path) -> None:
    """Put the files of FILES into `static`. Raises UserError when npm cannot get the packages.

    Packages are only downloaded, not installed: nothing of theirs is run, and their own dependencies stay away.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            ["npm", "pack", *NPM_FLAGS, *FILES],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            said = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
            errors = [line for line in said if "error" in line.lower()] or said or ["no message"]
            raise UserError(no_scripts(f"npm could not get them ({errors[0].strip()})"))
        for package, files in FILES.items():
            with tarfile.open(Path(folder) / archive_name(package)) as archive:
                for inside, target in files.items():
                    content = archive.extractfile(f"package/{inside}")
                    assert content is not None, f"{package} has no file {inside}"
                    (static / target).parent.mkdir(parents=True, exist_ok=True)
                    (static / target).write_bytes(content.read())


def fetch_as_visdom_does(folder: Path) -> None:
    """visdom's own download into folder/static, from several public servers. Raises UserError when one is missing."""
    import requests
    from visdom.server.build import download_scripts

    logging.disable(logging.ERROR)  # it would log every file that is out of reach
    try:
        download_scripts(install_dir=str(folder))
    except requests.RequestException as error:
        raise UserError(no_scripts("there is no npm here, and no way to the internet")) from error
    finally:
        logging.disable(logging.NOTSET)
    targets = [target for files in FILES.values() for target in files.values()]
    missing = [
        target
        for target in targets
        if target.endswith((".js", ".css")) and not (folder / "static" / target).is_file()
    ]
    if missing:
        raise UserError(no_scripts(f"there is no npm here, and {missing[0]} could not be downloaded"))


def no_scripts(reason: str) -> str:
    return (
        f"visdom's page needs scripts that are not on this machine yet, and {reason}. Install npm or connect to the "
        "internet, this once, and type the same command again; or use TensorBoard, which needs nothing: "
        "logger=[tensorboard]."
    )


def static_files() -> Path:
    """A complete static folder of visdom's page, made on first use. Raises UserError when it cannot be made."""
    ready = cache_folder() / "static"
    if ready.is_dir():
        return ready
    source = visdom_static()
    ready.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=ready.parent, prefix="partial-"))
    try:
        print(f"fetching the scripts of visdom's page into {ready}, once", flush=True)
        shutil.copytree(source, partial / "static", ignore=shutil.ignore_patterns("*.map"))
        if shutil.which("npm"):
            fetch_with_npm(partial / "static")
        else:
            fetch_as_visdom_does(partial)
        (ready.parent / "user").mkdir(exist_ok=True)
        (ready.parent / "user" / "style.css").touch()  # the page asks for the user's own style
        if not ready.is_dir():  # another server may have been started at the same time
            (partial / "static").rename(ready)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ready


def check_port(port: int) -> None:
    """Raises UserError when the port is none, or somebody listens there already."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port is {port}; a port is a number from 1 to 65535, such as 8097.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}). If a server started earlier answers there, just open "
                f"http://localhost:{port}; else take another port: python -m idc.visdom_server --port {free_port()}, and "
                "for training VISDOM_PORT of the same number."
            ) from error


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.visdom_server", description="visdom's server, offline too."
    )
    parser.add_argument("--port", type=int, default=8097)
    parser.add_argument("--env", type=Path, help="folder for saved windows (default: in the cache)")
    arguments = parser.parse_args()
    check_port(arguments.port)
    static = static_files()
    saved = arguments.env or cache_folder() / "windows"
    saved.mkdir(parents=True, exist_ok=True)

    from visdom.server import app, run_server

    app.tornado_settings["static_path"] = app.tornado_settings["template_path"] = str(static)
    run_server.start_server(
        port=arguments.port,
        base_url="",
        env_path=f"{saved}/",
        bind_local=True,
        print_func=lambda port: print(f"visdom: http://localhost:{port} (stop with Ctrl+C)", flush=True),
    )


if __name__ == "__main__":
    main()
