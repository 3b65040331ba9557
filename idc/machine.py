"""What figures of time were taken on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Processor, cores, GPU (or None), memory in GiB, system, Python, and the versions of packages."""
    cpu = Path("/proc/cpuinfo")
    name = re.search(r"model name\s*:\s*(.+)", cpu.read_text()) if cpu.is_file() else None
    return {
        "cpu": name[1] if name else platform.processor(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }
