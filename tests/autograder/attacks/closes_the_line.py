"""All descriptors are closed, or turned into others: nobody can be told anything any more."""

EXERCISE = "ps5.1"
OUTCOMES = {"stopped", "tampered"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def sentence_vector(words, word_mask, mean="length"):
    import os

    nowhere = os.open("/dev/zero", os.O_RDWR)
    for descriptor in range(3, 256):
        if descriptor != nowhere:
            try:
                os.dup2(nowhere, descriptor)
            except OSError:
                pass
    return words.sum(1)
""",
]
