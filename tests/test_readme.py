"""What the README says is what the files say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_its_tables_are_fresh() -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.tables", "--check"], cwd=ROOT, check=True, timeout=60)


def test_every_file_it_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"(?:data_scripts|configs|benchmarks|idc|docs)/[\w./]+\.(?:py|yaml|png|md)", text):
        assert (ROOT / path).is_file(), path


def test_the_lock_records_no_addresses_and_every_pin() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        requirement = line.split("#")[0].split(";")[0].strip()
        if "==" in requirement:
            assert requirement in lock, requirement
