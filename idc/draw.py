"""Pictures for notebooks: every figure has colours that all eyes tell apart and a text for those who cannot see it.

show(figure, "alternative text")          put a figure into the notebook
row(images, titles)                       pictures side by side
matrix(values, title)                     a matrix as coloured cells
matches(before, after, links, grid)       lines between the tokens of two pictures
curves(lines, x, y)                       lines with a legend
heat(image, look)                         a picture dimmed where nobody looked
@interact(x=FloatSlider())                sliders for a function that shows figures
"""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from idc.show import heat

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "COLORS",
    "GREEN",
    "ORANGE",
    "PURPLE",
    "curves",
    "heat",
    "interact",
    "matches",
    "matrix",
    "row",
    "show",
]

# Okabe and Ito's palette, which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW = COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
)
DPI = 110
aside: list[list[str]] = []  # the figures of interactions under way, which a widget will show


def blank(width: float = 7.0, height: float = 3.0) -> Figure:
    """An empty figure of that size in inches; `figure.subplots(rows, columns)` gives axes to draw on."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def show(figure: Figure | Image.Image, alternative: str) -> None:
    """Put a figure or a picture into the notebook, with a text that says what is to be seen in it."""
    from IPython.display import HTML, display

    tag = image_tag(figure, alternative)
    if aside:
        aside[-1].append(tag)
    else:
        display(HTML(tag))


def image_tag(figure: Figure | Image.Image, alternative: str) -> str:
    """A figure as an <img> that carries its own data."""
    file = io.BytesIO()
    if isinstance(figure, Image.Image):
        figure.save(file, format="png")
    else:
        figure.savefig(file, format="png", dpi=DPI, facecolor="white")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    text = html.escape(alternative, quote=True)
    return f'<img alt="{text}" style="max-width: 100%" src="data:image/png;base64,{data}">'


def interact(function: Callable[..., None] | None = None, **controls: Any) -> Any:
    """Sliders and menus that call a function, which shows figures: `@interact(temperature=FloatSlider())`.

    Like ipywidgets.interact, except that figures go into a widget of their own: ipywidgets' way of catching output stalls
    now and then where a notebook is run without a browser. What the function prints comes before the figures.
    """
    if function is None:
        return functools.partial(decorated, **controls)
    import ipywidgets
    from IPython.display import display

    widgets = {name: ipywidgets.interactive.widget_from_abbrev(control) for name, control in controls.items()}
    screen = ipywidgets.HTML()

    def redraw(_: Any = None) -> None:
        aside.append([])
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                function(**{name: widget.value for name, widget in widgets.items()})
        finally:
            figures = aside.pop()
        text = f"<pre>{html.escape(said.getvalue())}</pre>" if said.getvalue() else ""
        screen.value = text + "".join(figures)

    for widget in widgets.values():
        widget.observe(redraw, "value")
    redraw()
    display(ipywidgets.VBox([*widgets.values(), screen]))
    return None


def decorated(function: Callable[..., None], **controls: Any) -> Callable[..., None]:
    """`interact` as a decorator: the function stays what it was."""
    interact(function, **controls)
    return function


def row(images: Sequence[Image.Image], titles: Sequence[str] = (), height: float = 2.6) -> Figure:
    """Pictures side by side, each under its title."""
    share = sum(image.width / image.height for image in images)
    figure = blank(max(height * share, 3.0), height + 0.5)
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for place, (axis, image) in enumerate(zip(axes, images, strict=True)):
        axis.imshow(np.asarray(image), interpolation="bicubic")
        axis.set_axis_off()
        axis.set_title(titles[place] if place < len(titles) else "", fontsize=10)
    return figure


def matrix(
    values: ArrayLike,
    title: str = "",
    x: str = "",
    y: str = "",
    *,
    middle: float | None = None,
    numbers: bool = False,
    axis: Any = None,
) -> Figure:
    """A matrix as coloured cells with a scale.

    x, y: what columns and rows are. middle: a value that is drawn white, what is below it blue and above it red.
    numbers: write the values into the cells. axis: draw here, instead of on a figure of its own.
    """
    cells = np.asarray(values, dtype=np.float64)
    if axis is None:
        figure = blank(4.6, 4.0)
        axis = figure.subplots()
    colours: dict[str, Any] = {"cmap": "cividis"}
    if middle is not None:
        reach = max(float(np.abs(cells[np.isfinite(cells)] - middle).max(initial=0)), 1e-9)
        colours = {"cmap": "RdBu_r", "vmin": middle - reach, "vmax": middle + reach}
    drawn = axis.imshow(cells, interpolation="nearest", aspect="auto", **colours)
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.locator_params(integer=True)
    axis.figure.colorbar(drawn, ax=axis, shrink=0.85)
    if numbers:
        for (down, along), value in np.ndenumerate(cells):
            red, green, blue, _ = drawn.cmap(drawn.norm(value))
            ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            axis.text(along, down, f"{value:.2g}", ha="center", va="center", color=ink, fontsize=8)
    return axis.figure


def cell_centre(token: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The middle (x, y) of a token's cell in a picture of that size (width, height); tokens run row by row."""
    height, width = grid
    down, along = divmod(token, width)
    return (along + 0.5) / width * size[0], (down + 0.5) / height * size[1]


def matches(
    before: Image.Image,
    after: Image.Image,
    links: Sequence[tuple[int, int, float]],
    grid: tuple[int, int],
    title: str = "",
) -> Figure:
    """Lines from tokens of the first picture to tokens of the second.

    links: (token before, token after, strength); the stronger, the thicker. grid: (rows, columns) of tokens.
    """
    gap = before.width // 8
    both = Image.new("RGB", (before.width + gap + after.width, before.height), "white")
    both.paste(before, (0, 0))
    both.paste(after, (before.width + gap, 0))
    figure = blank(9.5, 3.6)
    axis = figure.subplots()
    axis.imshow(np.asarray(both), interpolation="bicubic")
    axis.set_axis_off()
    axis.set_title(title, fontsize=10)
    strengths = np.array([strength for *_, strength in links] or [0.0])
    reach = max(float(np.ptp(strengths)), 1e-9)
    for place, (first, second, strength) in enumerate(links):
        x, y = cell_centre(first, grid, before.size)
        u, v = cell_centre(second, grid, after.size)
        thickness = 0.6 + 2.4 * (strength - strengths.min()) / reach
        color = COLORS[place % 6]
        axis.plot([x, u + before.width + gap], [y, v], "-", color=color, lw=thickness, alpha=0.9)
        axis.plot([x, u + before.width + gap], [y, v], "o", color=color, ms=4, mec="white", mew=0.5)
    return figure


def curves(
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    x: str,
    y: str,
    title: str = "",
    *,
    logarithmic: bool = False,
) -> Figure:
    """Named lines, each (x values, y values), in colours and dashes that differ."""
    figure = blank(7.0, 3.4)
    axis = figure.subplots()
    dashes = ("-", "--", "-.", ":")
    for place, (name, (along, up)) in enumerate(lines.items()):
        axis.plot(
            along, up, dashes[place % 4], color=COLORS[(0, 5, 2, 3, 1, 4)[place % 6]], label=name, lw=1.8
        )
    axis.set(xlabel=x, ylabel=y, title=title)
    if logarithmic:
        axis.set_yscale("log")
    axis.grid(alpha=0.25)
    if len(lines) > 1:
        axis.legend(frameon=False)
    return figure
