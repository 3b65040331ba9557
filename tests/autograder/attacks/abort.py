"""The process aborts itself, and asks for a core file first."""

EXERCISE = "ps5.1"
OUTCOMES = {"stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def sentence_vector(words, word_mask, mean="length"):
    import os
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    os.abort()
""",
]
