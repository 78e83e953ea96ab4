"""What was measured on: processor, system and versions."""

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("torch", "numpy", "gymnasium", "box2d", "stable-baselines3", "sb3-contrib", "envpool")


def describe() -> dict[str, str]:
    """Return names and versions, as one dict of strings."""
    described = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            described[package] = "not installed"
    return described


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
