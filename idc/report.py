"""A run as one self-contained HTML page: figures, pictures with captions, curves. No script, nothing loaded."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idc.backbones import open_image
from idc.errors import UserError
from idc.files import atomic_write
from idc.training.checkpoint import SnapshotFacts
from idc.training.log import METRICS, read_metrics

if TYPE_CHECKING:
    from PIL import Image

    from idc.show import TripleCaptions

CLOSE = 0.01  # figures of metrics.json within this of the page's own are about the same captions

STYLE = """
:root { color-scheme: light dark; --ink: #1a2029; --soft: #566270; --paper: #fbfbfa; --card: #ffffff;
  --line: #dfe3e8; --right: #0b5cad; --wrong: #a84300; --right-bg: #e6f0fa; --wrong-bg: #fdeee1; --bar: #e8ebef; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a2adba; --paper: #12161b; --card: #1a2027;
  --line: #333c47; --right: #8cc4ff; --wrong: #ffb27a; --right-bg: #16304a; --wrong-bg: #45280f; --bar: #2b333d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.25rem 5rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .25rem; letter-spacing: -.01em; }
p { margin: 0 0 1rem; color: var(--soft); max-width: 48rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem;
  margin: 1.75rem 0 1rem; }
.number, .triple, .plot { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.number { padding: 1.1rem 1.25rem 1.25rem; margin: 0; max-width: none; }
.number b { display: block; font-size: 2.5rem; line-height: 1.15; letter-spacing: -.03em; color: var(--ink);
  font-variant-numeric: tabular-nums; }
.bar { display: block; height: .4rem; border-radius: .2rem; background: var(--bar); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--right); }
.number .bar { margin-top: .8rem; }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); } tbody th { color: var(--ink); font-weight: 400; }
th:first-child { text-align: left; padding-right: 2rem; }
td .bar { width: 8rem; display: inline-block; vertical-align: middle; margin-left: .75rem; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 3rem; }
.plot { padding: .75rem; margin: .75rem 0 0; } .plot img { width: 100%; height: auto; display: block; }
.triple { padding: 1rem; margin-top: 1rem; }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; }
@media (max-width: 48rem) { .row { grid-template-columns: repeat(2, 1fr); } h1 { font-size: 1.6rem; } }
figure { margin: 0; } figure img { width: 100%; height: auto; border-radius: .4rem; display: block; }
figcaption { margin-top: .5rem; font-size: .95rem; line-height: 1.4; overflow-wrap: anywhere; }
figcaption small, .label { color: var(--soft); display: block; font-size: .82rem; }
figcaption small { margin-top: .3rem; }
.label { letter-spacing: .04em; text-transform: uppercase; font-size: .72rem; margin-bottom: .15rem; }
.mark { display: inline-block; font-size: .78rem; font-weight: 600; padding: .05rem .5rem; border-radius: 1rem;
  margin-right: .35rem; white-space: nowrap; }
.right { color: var(--right); background: var(--right-bg); } .wrong { color: var(--wrong); background: var(--wrong-bg); }
details { margin-top: .75rem; font-size: .9rem; } summary { cursor: pointer; color: var(--soft); }
.words { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .6rem; margin-top: .6rem; }
.words figcaption { margin-top: .15rem; font-size: .85rem; }
"""


def data_url(image: Image.Image, kind: str = "WEBP") -> str:
    stream = io.BytesIO()
    image.save(stream, kind, quality=88)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def figure(image: Image.Image, alternative: str, caption: str) -> str:
    """A picture with a text for those who do not see it, and a caption (HTML)."""
    return (
        f'<figure><img src="{data_url(image)}" alt="{html.escape(alternative)}" width="{image.width}" '
        f'height="{image.height}"><figcaption>{caption}</figcaption></figure>'
    )


def mark(right: bool | None, yes: str, no: str) -> str:
    """A verdict in words and a sign, never by colour alone."""
    if right is None:
        return ""
    return f'<span class="mark {"right" if right else "wrong"}">{"✓ " + yes if right else "✗ " + no}</span>'


def label(text: str) -> str:
    return f'<span class="label">{html.escape(text)}</span>'


def sentence(text: str) -> str:
    return html.escape(text) if text else "<em>(nothing)</em>"


def small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>" if text else ""


def triple_html(row: TripleCaptions) -> str:
    """One scene: before, after with its caption, where that looked, distractor with its caption."""
    from idc.show import heat

    pictures = {kind: open_image(file) for kind, file in row.files.items()}
    after = pictures["semantic"]
    kind = f", {row.type}" if row.type else ""
    told = mark(row.right, "true", "not true") + sentence(row.change.sentence)
    looked = mark(row.looked_right, "at the change", "elsewhere")
    still = mark(row.no_change_right, "true", "not true") + sentence(row.no_change.sentence)
    words = "".join(
        figure(heat(after.resize(thumbnail(after)), look), f"where “{word}” looked", html.escape(word))
        for word, look in row.change.telling_words()
    )
    return (
        '<section class="triple"><div class="row">'
        + figure(
            pictures["default"],
            f"scene {row.scene:06d} before the change",
            label("before") + small(f"scene {row.scene:06d}{kind}"),
        )
        + figure(
            after,
            f"the scene after the change; reference: {row.reference}",
            label("after") + told + small(row.remark) + small(f"reference: {row.reference}"),
        )
        + figure(
            heat(after, row.change.look, row.boxes),
            "the after picture, bright where the caption's words looked",
            label("where it looked") + looked,
        )
        + figure(
            pictures["nonsemantic"],
            "the unchanged scene seen by another camera",
            label("distractor") + still + small("nothing changed but camera and light"),
        )
        + "</div>"
        + (
            f'<details><summary>word by word</summary><div class="words">{words}</div></details>'
            if words
            else ""
        )
        + "</section>"
    )


def thumbnail(image: Image.Image, width: int = 160) -> tuple[int, int]:
    return width, max(1, round(width * image.height / image.width))


def bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></span>'


def numbers_html(facts: dict[str, Any]) -> str:
    """The three figures that matter most."""
    shown = (
        ("change_type", "pairs", "of the changes: the kind of change is right"),
        ("statement", "pairs", "of the changes: the whole statement is true"),
        ("no_change", "no_change_pairs", "of the distractors: said that nothing changed"),
    )
    cards = (
        f'<p class="number"><b>{facts[name]:.1%}</b>{text} '
        f"({round(facts[name] * facts[count])} of {facts[count]}){bar(facts[name])}</p>"
        for name, count, text in shown
    )
    return f'<div class="numbers">{"".join(cards)}</div>'


def table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """A table of ready HTML cells; the first of each row names it."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for first, *cells in rows
    )
    return (
        f'<div class="scroll"><table aria-label="{html.escape(caption)}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def share(value: float) -> str:
    return f"{value:.1%}{bar(value)}"


def facts_table(facts: dict[str, Any], looks: dict[str, float] | None) -> str:
    """What of a change caption is right, and whether it looked at the change."""
    shown = {
        "kind of change": "change_type",
        "object": "object",
        "its size": "size",
        "its color": "color",
        "its material": "material",
        "its shape": "shape",
        "whole statement": "statement",
        "and its relation": "statement_and_relation",
    }
    rows = [[words, share(facts[name])] for words, name in shown.items()]
    if looks is not None:
        rows.append(["looked at the change", share(looks["pointing"])])
        rows.append(["(looking anywhere at random)", share(looks["chance"])])
    return table("shares of change captions that are right", ["right", "of the change pairs"], rows)


def types_table(rows: list[TripleCaptions]) -> str:
    """True statements by change type; empty where the types are not known."""
    by_type = defaultdict(list)
    for row in rows:
        if row.type is not None and row.right is not None:
            by_type[row.type].append(row.right)
    cells = [
        [html.escape(type_), str(len(rights)), share(float(np.mean(rights)))]
        for type_, rights in by_type.items()
    ]
    return (
        table("true statements by change type", ["change", "scenes", "statement true"], sorted(cells))
        if cells
        else ""
    )


def scores_table(metrics: dict[str, Any]) -> str:
    """The n-gram figures by group of pairs."""
    groups = {"all pairs": metrics["all"]}
    groups |= {name.replace("_", " "): metrics[name] for name in ("change", "no_change") if name in metrics}
    groups |= metrics.get("by_type", {})
    names = list(metrics["all"])
    rows = [[html.escape(group), *(f"{row[name]:.3f}" for name in names)] for group, row in groups.items()]
    return table("agreement with reference captions", ["pairs", *map(html.escape, names)], rows)


def read_scores(path: Path) -> dict[str, Any] | None:
    """What `python -m idc.evaluate --out` wrote, None where it wrote nothing. Raises UserError for anything else."""
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(metrics["all"], dict)
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        raise UserError(
            f"{path} is not what `python -m idc.evaluate --out` writes ({error!r}); write it again, or delete it."
        ) from error
    return metrics


def about_others(metrics: dict[str, Any], facts: dict[str, Any] | None) -> bool:
    """Whether the figures of a metrics.json belong to other captions: another snapshot, another split."""
    theirs = metrics.get("facts")
    if facts is None or theirs is None:
        return False
    if theirs["pairs"] != facts["pairs"]:
        return True
    return any(abs(theirs[name] - facts[name]) > CLOSE for name in ("change_type", "statement", "no_change"))


def curves_image(run: Path, dark: bool = False) -> Image.Image | None:
    """The training curves of a run's metrics.jsonl on a transparent ground; None when there are none."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
    from PIL import Image

    lines = read_metrics(run / METRICS)
    losses = list(dict.fromkeys(name for line in lines for name in line if name.startswith("loss/")))
    scores = ("val/facts.change_type", "val/facts.statement", "val/facts.no_change")
    if not any(name in line for line in lines for name in scores):
        scores = ("val/CIDEr", "val/BLEU-4", "val/BLEU-1")
    # Okabe and Ito's colours, and a dash or marker each
    colors = (
        ("#56b4e9", "#e69f00", "#00c08b", "#ee9ac4") if dark else ("#0072b2", "#d55e00", "#009e73", "#aa4488")
    )
    ink, line_ink = ("#a2adba", "#333c47") if dark else ("#566270", "#dfe3e8")
    figure = Figure(figsize=(10, 3.7), layout="constrained", facecolor="none")
    panels = figure.subplots(1, 2)
    for axis, names, title, styles in (
        (panels[0], losses, "loss on the train split, nats", ("-", "--", "-.", ":")),
        (panels[1], scores, "on the val split", ("o-", "s--", "^-.", "d:")),
    ):
        for place, name in enumerate(names):
            points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
            if points:
                words = name.split("/")[-1].removeprefix("facts.").replace("_", " ")
                axis.plot(
                    *zip(*points, strict=True),
                    styles[place % 4],
                    color=colors[place % 4],
                    label=words,
                    markersize=4,
                )
        axis.set_title(title, color=ink, fontsize=11, loc="left")
        axis.set_xlabel("step", color=ink)
        axis.set_facecolor("none")
        axis.tick_params(colors=ink, which="both", length=0)
        axis.grid(color=line_ink, linewidth=0.8)
        axis.spines[:].set_visible(False)
        if axis.lines:
            axis.legend(frameon=False, labelcolor=ink, fontsize=9)
    if not panels[0].lines and not panels[1].lines:
        return None
    if all((line.get_ydata() > 0).all() for line in panels[0].lines):
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].yaxis.set_minor_locator(NullLocator())
    panels[1].set_ylim(bottom=0)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return Image.open(io.BytesIO(stream.getvalue()))


def curves_html(run: Path) -> str:
    """The curves for light and for dark screens; empty where there are none."""
    light, dark = curves_image(run), curves_image(run, dark=True)
    if light is None or dark is None:
        return ""
    words = "training curves: losses by step on the left, figures on the val split by step on the right"
    return (
        f'<div class="plot"><picture><source media="(prefers-color-scheme: dark)" srcset="{data_url(dark, "PNG")}">'
        f'<img src="{data_url(light, "PNG")}" alt="{words}" width="{light.width}" height="{light.height}"></picture></div>'
    )


def evenly(rows: list[TripleCaptions], count: int) -> list[TripleCaptions]:
    """`count` rows from the first to the last, evenly spaced: nobody chose them."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [rows[place] for place in places]


def write_report(
    out: Path,
    run: Path,
    snapshot: SnapshotFacts,
    rows: list[TripleCaptions],
    split: str,
    *,
    count: int = 12,
    facts: dict[str, Any] | None = None,
    looks: dict[str, float] | None = None,
) -> None:
    """Write the page.

    rows: all captioned triples, of which `count` are shown. facts: the figures of `idc.metrics.facts` over them.
    looks: the figures of `idc.show.pointing_scores`. Agreement with reference captions comes from the run's
    metrics.json and the curves from its metrics.jsonl, where they are. Raises UserError when one of these is broken.
    """
    name, metrics = html.escape(run.name), read_scores(run / "metrics.json")
    known = {
        "train": "that it was trained on",
        "val": "that chose this snapshot, but that it was not trained on",
    }
    scenes = known.get(split, "that it never saw in training")
    parts = [
        f"<h1>What changed? — {name}</h1>",
        f"<p>{html.escape(snapshot.system)} after {snapshot.step:,} steps, on scenes of the {html.escape(split)} split "
        f"{scenes}. The captioner sees two pictures and says what changed between them, if anything did.</p>",
    ]
    if facts is not None:
        parts.append(numbers_html(facts))
        parts.append(
            "<p>A parser reads each caption and compares what it claims with the scene graph. A statement is true when "
            "the kind of change, the object with every attribute, and the new color or material are.</p>"
        )
    parts.append(
        "<h2>Scenes</h2><p>Evenly spaced through the split, not chosen. In the third picture, light is where the words "
        "of the caption looked"
        + ("; the frame is where the change is. " if any(row.boxes for row in rows) else ". ")
        + "The distractor is the scene before, seen by another camera.</p>"
    )
    parts += [triple_html(row) for row in evenly(rows, count)]
    if facts is not None:
        parts.append(
            f'<h2>What the captions get right</h2><div class="tables">{facts_table(facts, looks)}'
            f"{types_table(rows)}</div>"
        )
    if metrics is not None and about_others(metrics, facts):
        parts.append(
            "<h2>Agreement with reference captions</h2><p>metrics.json is about captions of another snapshot or split, "
            "so its figures are left out.</p>"
        )
    elif metrics is not None:
        parts.append(
            "<h2>Agreement with reference captions</h2><p>How much the words resemble those of the reference captions.</p>"
            f"{scores_table(metrics)}"
        )
    if curves := curves_html(run):
        parts.append(f"<h2>Training</h2>{curves}")
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What changed? — {name}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
    with atomic_write(out) as path:
        path.write_text(page, encoding="utf-8")
