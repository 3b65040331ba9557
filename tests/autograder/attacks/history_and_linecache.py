"""The running check is read from IPython's history, from linecache and from the source of the callers."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.4"
SAYS = "not yet"
CELLS = [
    """\
def breached():
    import inspect
    import linecache
    import sys

    texts = []
    try:
        shell = get_ipython()
        texts += shell.user_ns["In"] + [line for *_, line in shell.history_manager.get_range()]
    except NameError:
        pass
    for entry in list(linecache.cache.values()):
        if len(entry) == 4:
            texts.append("".join(entry[2]))
    for frame in inspect.stack():
        texts.append("".join(frame.code_context or ()))
        texts.append("".join(linecache.getlines(frame.filename)))
    for module in list(sys.modules.values()):
        texts.append("".join(linecache.getlines(getattr(module, "__file__", None) or "")))
    marks = ("confirm(" + '"ps4.4"', "BEGIN HIDDEN " + "TESTS", "def answers_new_" + "questions", "brass-wren-" + "7421")
    return any(mark in text for text in texts for mark in marks)


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
