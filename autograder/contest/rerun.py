"""Running a submitted checkpoint again, in a process of its own that sees the checkpoint, the pictures and nothing else.

    run_again(report, public)      in the grader: the captions of the checkpoint, or a sentence why there are none

No code of the student runs: the weights (safetensors only) are loaded into the library's own model. A student's own pieces
compute the same as the library's where their checks call them right, so the captions are the same. What the files say is
bounded before anything is built: the model of the configuration is drawn up without memory, and its shapes must be those
of the weights.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.handin import SNAPSHOT, contest_pairs, printable, read_object
from autograder.sandbox import Wall, find_way, python_paths, wrap
from idc.errors import UserError, command

ROOT = Path(__file__).resolve().parents[2]
MOST = {"model.safetensors": 64 * 2**20, "config.yaml": 2**16, "vocab.json": 2**20, "snapshot.json": 2**16}
LARGEST = {"dim": 2048, "word_dim": 2048, "heads": 64, "encoder_layers": 16, "decoder_layers": 16}
MOST_WORDS = {"vocabulary": 20_000, "caption": 64}
MOST_BRACKETS = 100
MOST_EVENTS = 2000  # of a configuration in YAML; the library's own have about 150
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MEMORY = 4 * 2**30  # bytes of data
CPU = 600  # seconds
PATIENCE = 900  # seconds in all
OUTPUT = 8 * 2**20  # bytes of captions


def run_again(report: Mapping[str, bytes], public: Path) -> dict[str, str] | str:
    """What the checkpoint in `report` says about each pair of a contest's public part, or why it was not run."""
    snapshot = {name: report[f"snapshot/{name}"] for name in SNAPSHOT if f"snapshot/{name}" in report}
    if missing := [name for name in SNAPSHOT if name not in snapshot]:
        if len(missing) == len(SNAPSHOT):
            return "No checkpoint was handed in."
        return f"The checkpoint lacks {', '.join(missing)}."
    for name, content in snapshot.items():
        if len(content) > MOST[name]:
            return f"{name} has {len(content) / 2**20:.1f} MB, more than the {MOST[name] / 2**20:.1f} MB that are loaded."
        if content.startswith(PICKLES):
            return f"{name} is a pickle or an archive, which could run code; only safetensors are loaded."
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)  # the process behind the wall is another user
        for name, content in snapshot.items():
            (folder / name).write_bytes(content)
        return ask(folder, public)


def ask(folder: Path, public: Path) -> dict[str, str] | str:
    """The captions of the snapshot in a folder, from another process."""
    argv, environment = command_line(folder, public)
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaint:
        try:
            code = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complaint,
                env=environment,
                timeout=PATIENCE,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return f"The checkpoint did not finish within {PATIENCE} seconds."
        said.seek(0)
        complaint.seek(0)
        output, words = said.read(OUTPUT + 1), complaint.read(2**16).decode("utf-8", "replace").strip()
    if code:
        reason = (
            printable(words.splitlines()[-1].removeprefix("error: "), 400)
            if words
            else f"its process ended with {code}"
        )
        return f"The checkpoint could not be run: {reason}"
    try:
        captions = read_object(output, "the output", OUTPUT)
    except UserError as error:
        return f"The checkpoint could not be run: {error}"
    return {pair: str(caption) for pair, caption in captions.items()}


def command_line(folder: Path, public: Path) -> tuple[list[str], dict[str, str]]:
    """The command and its environment; behind a wall, where one can be built."""
    words = [sys.executable, "-m", "autograder.contest.rerun"]
    environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    try:
        find_way()
    except UserError:  # no code of the student runs, so that limits alone may do
        return [*words, str(folder), str(public)], environment
    inside = {Path("/snapshot"): folder, Path("/pictures"): public.resolve()}
    inside |= {ROOT / name: ROOT / name for name in ("idc", "autograder")}
    wall = Wall(readable=python_paths() | inside, environment={"PYTHONPATH": str(ROOT)})
    return wrap([*words, "/snapshot", "/pictures"], wall), environment


# From here on: in the other process.


def limit() -> None:
    """Bound what this process may take, for good."""
    if sys.platform == "win32":
        return
    import resource

    for what, most in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, CPU),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def check_snapshot(folder: Path) -> None:
    """Raise UserError unless the four files describe one model of bearable size, whose weights these are."""
    facts = read_object((folder / "snapshot.json").read_bytes(), "snapshot.json")
    words = read_object((folder / "vocab.json").read_bytes(), "vocab.json")
    if facts.get("backbone") != "rendered":
        raise UserError(
            f"it was trained on grids of the backbone {str(facts.get('backbone'))[:40]!r}; only those of the bundled one, "
            "“rendered”, are made here."
        )
    longest = facts.get("max_words")
    if type(longest) is not int or not 3 <= longest <= MOST_WORDS["caption"]:
        raise UserError(f"max_words in snapshot.json must be a number from 3 to {MOST_WORDS['caption']}.")
    if not 4 <= len(words) <= MOST_WORDS["vocabulary"]:
        raise UserError(
            f"vocab.json has {len(words)} words; it must be from 4 to {MOST_WORDS['vocabulary']}."
        )
    check_yaml((folder / "config.yaml").read_bytes())
    compare_shapes(folder, facts, longest)


def check_yaml(content: bytes) -> None:
    """Raise UserError for a configuration that is long, deep or refers to itself."""
    import yaml

    if content.count(b"[") + content.count(b"{") > MOST_BRACKETS:  # the parser takes their square in time
        raise UserError("config.yaml is no configuration: it has too many brackets.")
    try:
        for number, event in enumerate(yaml.parse(content.decode("utf-8"), yaml.SafeLoader)):
            if number > MOST_EVENTS or isinstance(event, yaml.AliasEvent):
                raise UserError(
                    "config.yaml is no configuration: it is too long, or refers to parts of itself."
                )
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"config.yaml is not valid YAML: {' '.join(str(error).split())[:200]}") from error


def compare_shapes(folder: Path, facts: Mapping[str, Any], longest: int) -> None:
    """Raise UserError unless the weights have the names and shapes of the configured model, which takes no memory."""
    import torch
    from safetensors import SafetensorError, safe_open

    from idc.backbones.rendered import RenderedBackbone
    from idc.config import load_config, model_config
    from idc.data.vocabulary import Vocabulary
    from idc.systems import system_class

    if facts.get("grid_shape") != list(RenderedBackbone.grid_shape):
        raise UserError(f"grid_shape in snapshot.json must be {list(RenderedBackbone.grid_shape)}.")
    try:
        config = load_config(folder / "config.yaml")
    except (ValueError, RecursionError) as error:
        raise UserError(f"config.yaml is no configuration: {str(error)[:200]}") from error
    for name, most in LARGEST.items():
        value = config.model.get(name)
        if type(value) is not int or not 1 <= value <= most:
            raise UserError(
                f"model.{name} in config.yaml is {str(value)[:40]}; from 1 to {most} is allowed here."
            )
    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            tensors = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
            found = {name: tuple(each.get_shape()) for name, each in tensors.items()}
            types = {each.get_dtype() for each in tensors.values()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"model.safetensors is not whole or no safetensors file ({str(error)[:200]})."
        ) from error
    if not types <= {"F16", "BF16", "F32", "F64"}:
        raise UserError(
            f"model.safetensors holds {', '.join(sorted(types))}; weights are F16, BF16, F32 or F64."
        )
    try:
        with torch.device("meta"):
            vocabulary = Vocabulary.from_json(folder / "vocab.json")
            system = system_class(config.system).build(
                model_config(config), vocabulary, RenderedBackbone.grid_shape, longest
            )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise UserError(f"config.yaml describes no model that can be built: {str(error)[:200]}") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in system.state_dict().items()}
    if differing := sorted(name for name in wanted | found if wanted.get(name) != found.get(name)):
        name = differing[0]
        raise UserError(
            f"the weights are not those of the configured model: {len(differing)} tensors differ, such as {name[:80]}, "
            f"which is {found.get(name, 'missing')} and must be {wanted.get(name, 'absent')}."
        )


def caption(folder: Path, public: Path) -> dict[str, str]:
    """The snapshot's caption for every pair. Raises UserError for weights that are not finite."""
    from idc.show import Captioner

    captioner = Captioner(folder)
    for name, tensor in captioner.system.state_dict().items():
        if not tensor.isfinite().all():
            raise UserError(f"the weights in {name[:80]} are not finite.")
    files = contest_pairs(public)
    said = captioner.say(list(files.values()))
    return {pair: each.sentence for pair, each in zip(files, said, strict=True)}


@command
def main() -> None:
    limit()
    folder, public = map(Path, sys.argv[1:])
    with contextlib.redirect_stdout(sys.stderr):
        try:
            check_snapshot(folder)
            captions = caption(folder, public)
        except MemoryError as error:
            raise UserError(
                f"the model needs more than the {MEMORY / 2**30:.0f} GB of memory it is given."
            ) from error
    print(json.dumps(captions))


if __name__ == "__main__":
    main()
