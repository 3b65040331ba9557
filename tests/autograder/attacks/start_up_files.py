"""sitecustomize.py, a .pth file, conftest.py, pytest.ini and Jupyter's and IPython's start-up files are handed in."""

from pathlib import Path

from tests.autograder.handins import hand_in

EXERCISE = "ps4.4"
SAYS = "not yet"
RUN = "import os\nos.environ['IDC_STARTED'] = '1'\nopen('idc-was-here-start', 'w').close()\n"
PYTEST = RUN + "def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n"
FILES = {
    "sitecustomize.py": RUN,
    "usercustomize.py": RUN,
    "start.pth": "import os; open('idc-was-here-start', 'w').close()\n",
    "conftest.py": PYTEST,
    "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider --co\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--co'\n",
    "setup.cfg": "[tool:pytest]\naddopts = --co\n",
    "nbgrader_config.py": RUN,
    "jupyter_config.py": RUN,
    ".ipython/profile_default/startup/first.py": RUN,
    "Makefile": "all:\n\ttouch idc-was-here-start\n",
}


def build(submitted: Path, student: str) -> None:
    wrong = "def difference_tokens(before, after, weight, bias):\n    return before - after\n"
    hand_in(submitted / student, {"ps4.4": [wrong]})
    for name, text in FILES.items():
        for place in (submitted / student, submitted / student / "ps4_scorer"):
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
