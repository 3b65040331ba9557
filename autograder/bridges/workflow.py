"""A GitHub Actions workflow for students' repositories, made from the student kit: the visible checks at every push.

    bundle(Path("dist/checks.yml"))      goes to .github/workflows/checks.yml of the repository that students start from

It holds no secret and no hidden check, and whoever may push may change it: what it says is advice, never a mark. It runs
what `make check` runs. The job's summary shows a table; its outputs `points` and `out_of` are for jobs that need them.
"""

from __future__ import annotations

from pathlib import Path

from idc.files import atomic_write

PYTHON = "3.11"
WORKFLOW = """\
# Checks the pieces in assignments/ at every push, as `make check` does. It holds nothing that students do not have, and they
# may change it: its points are a help on the way, not a mark.
name: checks
on:
  push:
    paths: ["assignments/**", ".github/workflows/checks.yml"]
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: checks-${{ github.ref }}
  cancel-in-progress: true
jobs:
  checks:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    outputs:
      points: ${{ steps.check.outputs.points }}
      out_of: ${{ steps.check.outputs.out_of }}
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - uses: actions/setup-python@v6
        with:
          python-version: "@PYTHON@"
      - uses: actions/cache@v5
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('requirements.txt', 'requirements.lock') }}
      - name: Install
        run: make .venv/.ready UV_FLAGS=--torch-backend=cpu
      - name: Check
        id: check
        shell: bash
        env:
          OMP_NUM_THREADS: "1"
        run: |
          status=0 said="$RUNNER_TEMP/checks.txt" row='| \\1 | `\\2` | \\3 |'
          .venv/bin/python -m autograder assignments > "$said" || status=$?
          sed 's/^/    /' "$said"
          {
            echo '### Checks'
            echo
            echo '| exercise | piece | |'
            echo '|---|---|---|'
            sed -nE "s/^[^ ]+ (ps[0-9]+\\.[0-9]+) +([A-Za-z_]+) +(right|wrong|not attempted)\\$/$row/p" "$said"
            echo
            # Four spaces in front: whatever an error message holds is shown as it is.
            head -c 500000 "$said" | sed 's/^/    /'
          } >> "$GITHUB_STEP_SUMMARY"
          tail -n 1 "$said" | sed -nE 's/^([0-9]+) of ([0-9]+) points$/points=\\1\\nout_of=\\2/p' >> "$GITHUB_OUTPUT"
          exit "$status"
"""


def bundle(out: Path, python: str = PYTHON) -> Path:
    """Write the workflow, and give its path. python: the version that it sets up."""
    with atomic_write(out) as temporary:
        temporary.write_text(WORKFLOW.replace("@PYTHON@", python), encoding="utf-8")
    return out
