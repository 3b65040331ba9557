"""Messages, names of exceptions and lines of code carry markup, formulas, colours and commands for whoever shows
them."""

EXERCISE = "ps5.4"
SAYS = "not yet"
CELLS = [
    """\
TEXT = "</pre></p><script>alert('idc-script')</script><img src=x onerror=alert(1)>{{7*7}}=HYPERLINK(1)\\x1b[31m\\x07|`$(id)`"


def joint_loss(parts, weights):
    kind = type("<script>alert('idc-script')</script>", (ValueError,), {})
    raise kind(TEXT)  # <script>alert('idc-script')</script>
""",
]
