"""Threads and subprocesses that never end keep the worker from ending."""

EXERCISE = "ps5.1"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def linger():
    import subprocess
    import sys
    import threading
    import time

    threading.Thread(target=lambda: [time.sleep(0.05) for _ in iter(int, 1)], daemon=False).start()
    words = "import time; open('/proc/self/comm', 'w').write('idc-outlives')\\nwhile True: time.sleep(1)"
    subprocess.Popen([sys.executable, "-S", "-c", words], start_new_session=True)
    return True


LINGERS = linger()


def sentence_vector(words, word_mask, mean="length", ready=LINGERS):
    return words.sum(1)
""",
]
