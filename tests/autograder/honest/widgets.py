"""Sliders and tables of the notebook are used in cells with answers: interact, display, clear_output, HTML."""

ANSWERS = {
    "ps1.1": [
        """\
import ipywidgets as widgets
from IPython.display import HTML, Markdown, clear_output, display

slider = widgets.FloatSlider(value=0.1)
display(HTML("<b>hello</b>"), slider)


@widgets.interact(x=(0, 10))
def play(x):
    display(x)


def info_nce(similarity: Tensor) -> Tensor:
    display(Markdown("**loss**"), similarity)
    clear_output(wait=True)
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()


slider.observe(lambda change: print(change), names="value")
""",
    ],
}
