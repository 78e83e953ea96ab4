"""One file per finished measurement, written whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "results" / "benchmarks" / "pieces"


def path_of(name: str) -> Path:
    """Return where the piece of this name is kept."""
    return FOLDER / f"{name}.json"


def measured(name: str, measure: Callable[[], dict]) -> dict:
    """Return the piece of this name; measure it only if it does not exist yet."""
    path = path_of(name)
    if not path.exists():
        print(f"measuring {name}", flush=True)
        result = measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        os.replace(unfinished, path)
    return json.loads(path.read_text(encoding="utf-8"))
