"""The command line: ``python -m course_lib train --algo trpo --env CartPoleSwingUp-v0 --seed 0``."""

from .commands import settings_with
from .main import main

__all__ = ["main", "settings_with"]
