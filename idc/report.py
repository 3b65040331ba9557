"""A run as one self-contained HTML page: figures, curves, and pictures with captions."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idc.backbones import open_image
from idc.files import atomic_write
from idc.training.checkpoint import SnapshotFacts
from idc.training.log import METRICS, read_metrics

if TYPE_CHECKING:
    from PIL import Image

    from idc.show import TripleCaptions

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #ffffff; --card: #f4f6f8;
  --line: #d5dbe1; --right: #0b6e4f; --wrong: #b3261e; --accent: #0a5ea8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --soft: #a3adb8; --paper: #14171a; --card: #1e2226;
  --line: #363d44; --right: #5fd3ab; --wrong: #ff8a80; --accent: #7fbcf5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1rem 4rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .8rem; }
p { margin: .3rem 0 1rem; color: var(--soft); max-width: 46rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1rem; margin-top: 1.5rem; }
.number { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; }
.number b { display: block; font-size: 2.1rem; line-height: 1.2; color: var(--accent); font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.curves img { width: 100%; border-radius: .6rem; border: 1px solid var(--line); background: #fff; }
.triple { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; padding: 1rem 0; border-top: 1px solid var(--line); }
@media (max-width: 44rem) { .triple { grid-template-columns: repeat(2, 1fr); } }
figure { margin: 0; } figure img { width: 100%; border-radius: .4rem; display: block; }
figcaption { margin-top: .4rem; font-size: .92rem; } figcaption small { color: var(--soft); display: block; }
.right::before { content: "✓ "; color: var(--right); font-weight: 700; }
.wrong::before { content: "✗ "; color: var(--wrong); font-weight: 700; }
"""


def data_url(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def picture(image: Image.Image, alternative: str, caption: str) -> str:
    return (
        f'<figure><img src="{data_url(image)}" alt="{html.escape(alternative)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def verdict(sentence: str, right: bool | None) -> str:
    """The sentence with a mark; never by colour alone."""
    kind = {True: "right", False: "wrong", None: ""}[right]
    return f'<span class="{kind}">{html.escape(sentence or "(nothing)")}</span>'


def triple_html(row: TripleCaptions) -> str:
    """One row of the page: before, after, look, distractor."""
    from idc.show import heat

    pictures = {kind: open_image(file) for kind, file in row.files.items()}
    looked = {True: "at the change", False: "elsewhere", None: ""}[row.looked_right]
    return (
        '<div class="triple">'
        + picture(
            pictures["default"],
            f"scene {row.scene} before",
            f"before<small>scene {row.scene:06d}</small>",
        )
        + picture(
            pictures["semantic"],
            f"the same scene after a change: {row.reference}",
            f"{verdict(row.change.sentence, row.right)}<small>a person might say: {html.escape(row.reference)}</small>",
        )
        + picture(
            heat(pictures["semantic"], row.change.look),
            "the after picture, bright where the caption's words looked",
            f"where it looked<small>{looked}</small>",
        )
        + picture(
            pictures["nonsemantic"],
            "the unchanged scene from another camera",
            f"{verdict(row.no_change.sentence, row.no_change_right)}<small>distractor: nothing changed</small>",
        )
        + "</div>"
    )


def numbers_html(facts: dict[str, Any]) -> str:
    shown = (
        ("change_type", "of the changes: type right"),
        ("statement", "of the changes: whole statement true"),
        ("no_change", "of the distractors: “no change” said"),
    )
    cards = (f'<div class="number"><b>{facts[name]:.1%}</b>{text}</div>' for name, text in shown)
    return f'<div class="numbers">{"".join(cards)}</div>'


def table_html(metrics: dict[str, Any]) -> str:
    """The n-gram figures by group of pairs."""
    groups = {"all pairs": metrics["all"]}
    groups |= {name.replace("_", " "): metrics[name] for name in ("change", "no_change") if name in metrics}
    groups |= metrics.get("by_type", {})
    names = list(metrics["all"])
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{html.escape(group)}</td>"
        + "".join(f"<td>{row[name]:.3f}</td>" for name in names)
        + "</tr>"
        for group, row in groups.items()
    )
    return f'<div class="scroll"><table><tr><th></th>{head}</tr>{rows}</table></div>'


def facts_table_html(facts: dict[str, Any], looks: dict[str, float] | None) -> str:
    names = ("object", "size", "color", "material", "shape", "statement_and_relation")
    rows = [(name.replace("_", " "), f"{facts[name]:.1%}") for name in names]
    if looks is not None:
        rows.append(("looked at the change", f"{looks['pointing']:.1%} (at random: {looks['chance']:.1%})"))
    cells = "".join(f"<tr><td>{html.escape(name)}</td><td>{value}</td></tr>" for name, value in rows)
    return f'<div class="scroll"><table><tr><th>right on change pairs</th><th></th></tr>{cells}</table></div>'


def curves_image(run: Path) -> Image.Image | None:
    """The training curves of a run's metrics.jsonl; None when there are none."""
    from matplotlib.figure import Figure
    from PIL import Image

    lines = read_metrics(run / METRICS)
    losses = [name for name in (lines[0] if lines else {}) if name.startswith("loss/")]
    if not losses:
        return None
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = zip(("#0072b2", "#d55e00", "#009e73", "#cc79a7"), ("-", "--", "-.", ":"), strict=True)
    for name, (color, style) in zip(losses, styles, strict=False):
        points = [(line["step"], line[name]) for line in lines if name in line]
        left.plot(*zip(*points, strict=True), style, color=color, label=name.removeprefix("loss/"))
    left.set(title="loss, nats", xlabel="step", yscale="log")
    left.legend()
    validation = [line for line in lines if any(name.startswith("val/") for name in line)]
    shown = ("val/facts.change_type", "val/facts.statement", "val/facts.no_change", "val/CIDEr")
    for name, color, marker in zip(shown, ("#0072b2", "#d55e00", "#009e73", "#777777"), "os^x", strict=True):
        points = [(line["step"], line[name]) for line in validation if name in line]
        if points and not (name == "val/CIDEr" and "val/facts.statement" in validation[0]):
            right.plot(
                *zip(*points, strict=True),
                marker=marker,
                color=color,
                label=name.split(".")[-1].removeprefix("val/"),
            )
    right.set(title="on the val split", xlabel="step")
    right.set_ylim(bottom=0)
    if validation:
        right.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return Image.open(io.BytesIO(stream.getvalue()))


def write_report(
    out: Path,
    run: Path,
    snapshot: SnapshotFacts,
    rows: list[TripleCaptions],
    split: str,
    looks: dict[str, float] | None,
) -> None:
    """Write the page. The figures come from the run's metrics.json, if it has been evaluated."""
    metrics_file = run / "metrics.json"
    metrics = json.loads(metrics_file.read_text(encoding="utf-8")) if metrics_file.is_file() else {}
    facts = metrics.get("facts")
    parts = [
        f"<h1>What changed? — {html.escape(run.name)}</h1>",
        f"<p>{html.escape(snapshot.system)} after {snapshot.step} steps, on scenes of the {split} split that it was "
        "never trained on. Every row shows a scene before and after a change, where the words of the caption looked, "
        "and a distractor: the unchanged scene from another camera.</p>",
    ]
    if facts:
        parts.append(numbers_html(facts))
        parts.append(
            f"<p>Read off the captions by a parser and compared with the scene graph, over {facts['pairs']} change "
            f"pairs and {facts['no_change_pairs']} distractors.</p>"
        )
    parts.append(f"<h2>Scenes</h2>{''.join(triple_html(row) for row in rows)}")
    if facts:
        parts.append(f"<h2>What the captions get right</h2>{facts_table_html(facts, looks)}")
    if metrics:
        parts.append(f"<h2>Agreement with people's words</h2>{table_html(metrics)}")
    curves = curves_image(run)
    if curves is not None:
        alternative = "training curves: losses by step on the left, figures on the val split on the right"
        parts.append(
            f'<h2>Training</h2><div class="curves"><img src="{data_url(curves)}" alt="{alternative}"></div>'
        )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What changed? — {html.escape(run.name)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    with atomic_write(out) as path:
        path.write_text(page, encoding="utf-8")
