"""A page to try captioners on: choose or upload two pictures, read what changed, see where every word looked.

    python -m idc.app [--run runs/demo …] [--port 7860] [--pieces FOLDER]

The page is served to this computer alone and needs no network: it loads nothing from elsewhere, sends nothing anywhere,
and forgets the uploaded pictures when it stops.
"""

from __future__ import annotations

import argparse
import html
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from idc import album
from idc.backbones import open_image
from idc.config import load_config
from idc.errors import UserError, command
from idc.own import add_arguments, adopt
from idc.report import figure, mark, small, thumbnail
from idc.retrieve import embed_texts, nearest_captions, retrieval_folder
from idc.show import BUNDLED, SMALL_WORDS, Captioner, Said, caption_world, heat
from idc.training.checkpoint import find_snapshot
from idc.training.loop import open_split, polite_stop
from idc.visdom_server import free_port

if TYPE_CHECKING:
    import gradio

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # some of Pillow's other decoders start programs
LARGEST_FILE = 10  # MB
MOST_PIXELS = 25_000_000
WIDTH = 480  # of a picture on the page, pixels
MOST_LOOKS = 40  # words of a caption that can be clicked on
HINT = '<p class="hint">Choose an example above, or put in two pictures and press the button.</p>'
STYLE = """
.gradio-container { --soft: #566270; --right: #0b5cad; --wrong: #a84300; --right-bg: #e6f0fa; --wrong-bg: #fdeee1; }
.dark .gradio-container, .gradio-container.dark { --soft: #a2adba; --right: #8cc4ff; --wrong: #ffb27a; --right-bg: #16304a;
  --wrong-bg: #45280f; }
.picture img { width: 100%; height: 100%; object-fit: contain; }
.examples .grid-container { grid-template-rows: none; grid-auto-rows: auto; padding-top: 0; }
.examples .thumbnail-item { aspect-ratio: 8 / 3; height: auto; } .examples .caption-label { display: none; }
.answer .radio { position: absolute; opacity: 0; pointer-events: none; }
.answer .said { font-size: 1.7rem; line-height: 1.35; letter-spacing: -.01em; margin: 0 0 .35rem; }
.answer .said label, .answer .all { cursor: pointer; border-bottom: 2px dotted var(--soft); }
.answer .said label:hover { border-bottom-style: solid; }
.answer p { margin: 0 0 .9rem; color: var(--soft); } .answer .said { color: inherit; }
.answer .look { display: none; grid-template-columns: 1fr 1fr; gap: 1rem; }
.answer figure { margin: 0; } .answer figure img { width: 100%; height: auto; border-radius: .4rem; display: block; }
.answer figcaption { margin-top: .3rem; font-size: .9rem; color: var(--soft); }
.answer .mark { font-size: .8rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; white-space: nowrap;
  margin-right: .5rem; }
.answer .right { color: var(--right); background: var(--right-bg); }
.answer .wrong { color: var(--wrong); background: var(--wrong-bg); }
.answer ol { margin: .3rem 0 0; padding-left: 1.5rem; } .answer li { list-style: decimal; padding: .1rem 0; }
.answer h3 { margin: 1.5rem 0 0; font-size: 1rem; }
.hint, .trouble { padding: 1.2rem; margin: 0; } .hint { color: var(--soft); text-align: center; }
.trouble { border-left: .3rem solid var(--wrong); background: var(--background-fill-secondary); }
""" + "".join(
    f".answer #look-{n}:checked ~ .looks .look-{n} {{ display: grid; }} "
    f".answer #look-{n}:checked ~ p label[for=look-{n}] {{ background: var(--right-bg); color: var(--right); "
    f"border-bottom: 2px solid; }} .answer #look-{n}:focus-visible ~ p label[for=look-{n}] {{ outline: 2px solid; }}\n"
    for n in range(MOST_LOOKS + 1)
)


@dataclass(frozen=True)
class Example:
    """Two pictures of a scene of the album. kind: "semantic" with a change, "nonsemantic" without."""

    scene: int
    kind: str

    @property
    def files(self) -> tuple[Path, Path]:
        files = album.files(self.scene)
        return files["default"], files[self.kind]

    def side_by_side(self) -> Image.Image:
        """Both pictures in one."""
        before, after = (open_image(file) for file in self.files)
        both = Image.new("RGB", (before.width + after.width + 4, before.height), "white")
        both.paste(before, (0, 0))
        both.paste(after, (before.width + 4, 0))
        return both


def examples() -> list[Example]:
    """One for each scene of the album; every third is without a change."""
    return [
        Example(scene, "nonsemantic" if number % 3 == 2 else "semantic")
        for number, scene in enumerate(album.scenes())
    ]


def checked(upload: dict[str, Any] | None, which: str) -> Path:
    """The file of an upload. Raises UserError where there is none, and for what is no picture or too large a one."""
    if upload is None:
        raise UserError(f"There is no picture {which}. Choose an example, or drop a picture there.")
    path, name = Path(upload["path"]), upload.get("orig_name") or Path(upload["path"]).name
    if path.stat().st_size > LARGEST_FILE * 2**20:
        raise UserError(f"“{name}” has more than {LARGEST_FILE} MB. Make the picture smaller.")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        kinds = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise UserError(
            f"“{name}” is not a picture that can be read here. Take a file in {kinds}."
        ) from error
    if width * height > MOST_PIXELS:
        raise UserError(
            f"“{name}” has {width} x {height} pixels; {MOST_PIXELS // 1_000_000} million are the most. Make it smaller."
        )
    try:
        open_image(path)
    except UserError as error:
        raise UserError(f"“{name}” is damaged: only a part of it can be read. Take another copy.") from error
    return path


class Voice:
    """A system of the page: its captioner and, where a stage of it learnt retrieval, the captions that it can find.

    run: the run's folder, whose best snapshot speaks; None for the checkpoint that comes with the kit. finder: the best
    snapshot of the run's stage that learnt retrieval, None where there is none. texts: the captions of the run's test
    split, none where the data are not there.
    """

    def __init__(self, run: Path | None = None):
        self.captioner = Captioner(BUNDLED if run is None else find_snapshot(run, "best"))
        self.name = f"{'bundled' if run is None else run}: {self.captioner.facts.system}"
        self.finder: Captioner | None = None
        self.texts: list[str] = []
        if run is not None and (folder := retrieval_folder(run)) is not None:
            try:
                self.finder = Captioner(find_snapshot(folder, "best"))
                data = open_split(load_config(run / "config.yaml"), "test")
            except UserError as error:
                print(f"{self.name} has no captions to look among: {error}")
            else:
                truth = data.references()
                self.texts = sorted({text for name in data.image_ids() for text in truth[name]})

    @cached_property
    def vectors(self) -> Float[Tensor, "T D"]:
        """Where the finder puts each of the texts."""
        assert self.finder is not None
        return embed_texts(self.finder.system, self.texts)

    def nearest(self, before: Path, after: Path) -> list[tuple[str, float]]:
        """The texts nearest to two pictures, with their cosines."""
        if self.finder is None or not self.texts:
            return []
        pairs = self.finder.pairs([(before, after)])
        return nearest_captions(self.finder.system, pairs, self.texts, vectors=self.vectors)[0]

    def answer(self, before: Path, after: Path, example: Example | None) -> str:
        """What it says about two pictures, as HTML; beside the truth, where they are an example."""
        near = self.nearest(before, after)
        if example is None:
            return answer_html(self.captioner.say([(before, after)])[0], before, after, near=near)
        row = caption_world(self.captioner, album.ALBUM, [example.scene])[0]
        if example.kind == "semantic":
            said, right, truth = row.change, row.right, row.reference
        else:
            said, right, truth = row.no_change, row.no_change_right, "nothing changed but camera and light"
        remark = f"{row.remark}; " if example.kind == "semantic" and row.remark else ""
        verdict = mark(right, "true", "not true") + html.escape(f"{remark}in truth: {truth}")
        return answer_html(said, before, after, verdict, near)


def answer_html(
    said: Said, before: Path, after: Path, truth: str = "", near: Sequence[tuple[str, float]] = ()
) -> str:
    """The caption, whose telling words can be clicked on, where they looked in both pictures, and captions like it."""
    images = [open_image(file) for file in (before, after)]
    images = [image.resize(thumbnail(image, WIDTH)) for image in images]
    behind = said.attention if said.before is None else said.before
    whole = ("the caption", behind.mean(0), said.look)
    looks, words = [whole], []
    for word, *both in zip(said.words, behind, said.attention, strict=False):
        if word.lower() in SMALL_WORDS or len(looks) > MOST_LOOKS:
            words.append(html.escape(word))
        else:
            words.append(f'<label for="look-{len(looks)}">{html.escape(word)}</label>')
            looks.append((f"“{word}”", *both))
    radios, panels = "", ""
    for number, (name, *both) in enumerate(looks):
        radios += (
            f'<input class="radio" type="radio" name="look" id="look-{number}" '
            f'aria-label="where {html.escape(name)} looked"{"" if number else " checked"}>'
        )
        shares = ["" if said.before is None else f", {look.sum():.0%} of its attention" for look in both]
        panels += f'<div class="look look-{number}">' + "".join(
            figure(
                heat(image, look),
                f"the picture {which}, bright where {name} looked",
                html.escape(f"{which}: where {name} looked{share}"),
            )
            for image, look, which, share in zip(images, both, ("before", "after"), shares, strict=True)
        )
        panels += "</div>"
    found = "".join(f"<li>{html.escape(text)} {small(f'{cosine:.2f}')}</li>" for text, cosine in near)
    return (
        f'<div class="answer">{radios}<p class="said">{" ".join(words) or "<em>(nothing)</em>"}</p>'
        + (f"<p>{truth}</p>" if truth else "")
        + "<p>Bright is where it looked: click on a word, or on "
        + f'<label class="all" for="look-0">the whole caption</label>.</p><div class="looks">{panels}</div>'
        + (
            f"<h3>Captions of changes in its data that it finds nearest (cosine)</h3><ol>{found}</ol>"
            if near
            else ""
        )
        + "</div>"
    )


def trouble(error: UserError) -> str:
    return f'<p class="trouble" role="alert">{html.escape(str(error))}</p>'


def build(voices: dict[str, Voice]) -> gradio.Blocks:
    """The page for these systems, by name."""
    import gradio

    choices = examples()

    def say(
        system: str, before: dict[str, Any] | None, after: dict[str, Any] | None, chosen: int | None
    ) -> str:
        try:
            if system not in voices:
                raise UserError("There is no such system. Choose one of the list.")
            files = checked(before, "before"), checked(after, "after")
            return voices[system].answer(*files, None if chosen is None else choices[chosen])
        except UserError as error:
            return trouble(error)

    def say_anew(
        system: str, before: dict[str, Any] | None, after: dict[str, Any] | None, chosen: int | None
    ) -> Any:
        """What another system says; nothing new while a picture is missing."""
        return gradio.skip() if before is None or after is None else say(system, before, after, chosen)

    def choose(event: Any) -> tuple[str, str, int]:
        before, after = choices[event.index].files
        return str(before), str(after), event.index

    # By its annotation gradio knows that it asks what was clicked on.
    choose.__annotations__["event"] = gradio.SelectData

    with gradio.Blocks(title="What changed?", analytics_enabled=False) as page:
        gradio.Markdown(
            "# What changed?\nTwo pictures go in, a sentence comes out: what changed between them, if anything did."
        )
        chosen = gradio.State(None)
        with gradio.Row():
            before, after = (
                gradio.Image(
                    label=name,
                    type="filepath",
                    sources=["upload"],
                    buttons=[],
                    height=230,
                    elem_classes="picture",
                )
                for name in ("Before", "After")
            )
            with gradio.Column(min_width=220):
                system = gradio.Dropdown(list(voices), label="System", value=next(iter(voices)))
                button = gradio.Button("What changed?", variant="primary")
        gallery = gradio.Gallery(
            [(example.side_by_side(), f"scene {example.scene}, before and after") for example in choices],
            label="Examples",
            show_label=False,
            columns=6,
            height=205,
            elem_classes="examples",
            allow_preview=False,
            buttons=[],
            object_fit="contain",
            format="webp",
        )
        result = gradio.HTML(HINT, apply_default_css=False)

        # Without gradio's own preprocessing, which opens a file before anyone has looked whether it is a picture.
        asked: dict[str, Any] = {
            "fn": say,
            "inputs": [system, before, after, chosen],
            "outputs": result,
            "preprocess": False,
        }
        button.click(**asked)
        system.input(**asked | {"fn": say_anew})
        gallery.select(choose, None, [before, after, chosen]).then(**asked)
        gradio.on([before.input, after.input], lambda: None, None, chosen)
    return page


@contextmanager
def kept_at_home() -> Iterator[None]:
    """Inside, gradio asks nobody outside this computer, and keeps uploads in a folder that is removed in the end."""
    local = ",".join(filter(None, (os.environ.get("no_proxy"), "127.0.0.1,localhost")))
    with tempfile.TemporaryDirectory(prefix="idc-app-") as folder:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": folder,
            "HF_HUB_OFFLINE": "1",
            "no_proxy": local,
            "NO_PROXY": local,
        }
        yield


def check_port(port: int) -> None:
    """Raises UserError when the port is none, or somebody listens there already."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port is {port}; a port is a number from 1 to 65535, such as 7860.")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(
                f"somebody answers at port {port} already. If it is this page, started earlier, just open "
                f"http://127.0.0.1:{port}; else take another port: --port {free_port()}."
            )


def serve(voices: dict[str, Voice], port: int) -> None:
    """Serve the page to this computer until Ctrl+C."""
    import gradio
    from gradio.themes import Default, LocalFont

    # The regular and the bold cut come with gradio; its half-bold one lacks most letters.
    font = LocalFont("Source Sans Pro", weights=(400, 700))
    page = build(voices).queue(max_size=20)
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=LARGEST_FILE * gradio.FileSize.MB,
        theme=Default(primary_hue="blue", font=(font, "sans-serif"), font_mono=("monospace",)),
        css=STYLE,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    print(f"the page is at http://127.0.0.1:{port} (stop with Ctrl+C)", flush=True)
    with polite_stop() as stop:
        stop.wait()
    page.close(verbose=False)


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.app", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        type=Path,
        nargs="+",
        default=[],
        help="folders of runs, whose best snapshots are offered, too",
    )
    parser.add_argument("--port", type=int, default=7860)
    add_arguments(parser)
    arguments = parser.parse_args()
    check_port(arguments.port)
    adopt(arguments.pieces, arguments.unchecked)
    try:
        voices = [Voice(), *map(Voice, arguments.run)]
    except NotImplementedError as error:
        raise UserError(f"{error}.") from error
    with kept_at_home():
        serve({voice.name: voice for voice in voices}, arguments.port)


if __name__ == "__main__":
    main()
