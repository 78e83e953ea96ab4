"""Sphinx extension: writes the policies that the sandbox page runs, as a script beside its own.

A page opened from disk may not fetch a file, but it may load a script: ``sandbox_policies.js`` holds
the weights of ``results/sandbox``, float32 in base64, so that not a bit is lost.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from sphinx.application import Sphinx

PAGE, SCRIPT = "sandbox", "_static/sandbox_policies.js"
#: What the page shows first, and what with: (run, step).
SHOWN = {("swingup-ppo-112", 491_520), ("cartpole-ppo-0", 100_352)}
COMPARED = {("swingup-ppo-112", 65_536), ("cartpole-ppo-0", 10_240)}
#: What the page says of a policy; tests/test_sandbox_page.py holds it to the measured returns.
NOTES = {
    "swingup-ppo-112": {
        0: "Before training. The pole hangs, and every step of that costs nearly 1.",
        32_768: "It drives off the track at once, which ends the costs.",
        65_536: "It still drives off at once: a local optimum, better than hanging.",
        98_304: "It has begun to swing the pole, and earns a little by it.",
        131_072: "It swings the pole up and holds it, though not from every start.",
        229_376: "A relapse: its mean action, taken alone, often fails; its noise hides that.",
        491_520: "The relapse is over: it balances, from nearly every start.",
    },
    "swingup-ppo-115": {
        98_304: "Another seed, which has also learned to drive off at once.",
        262_144: "A quarter of a million steps, and it still does.",
    },
    "cartpole-ppo-0": {
        0: "Before training: left or right, nearly like a coin.",
        6_144: "Three updates. The most probable action balances for a while; draws do not.",
        10_240: "Five updates, and it balances for some seconds.",
        20_480: "Ten updates: it balances to the time limit, from nearly every start.",
        40_960: "It balances, with and without its noise.",
        100_352: "The end of training.",
    },
}


def policies(folder: Path) -> list[dict]:
    """What ``sandbox.js`` calls a policy, for every one in ``results/sandbox``."""
    found = []
    for name, run in read_runs(folder).items():
        algorithm = run["algorithm"].upper()
        for checkpoint in run["checkpoints"]:
            step, mean = checkpoint["step"], checkpoint["returns"]["deterministic"]["mean"]
            weights = read_weights(folder, name, step)
            log_std = weights.get("log_std")
            label = f"seed {run['seed']}, {step:,} steps: return {mean:.0f}"
            label = label.replace("-", "\N{MINUS SIGN}")
            found.append(
                {
                    "key": [name, step],
                    "env": run["env"],
                    "run": f"{algorithm}, seed {run['seed']}",
                    "label": label,
                    "title": f"{algorithm}, {label}",
                    "note": NOTES[name][step],
                    "shown": (name, step) in SHOWN,
                    "compared": (name, step) in COMPARED,
                    "sizes": run["sizes"],
                    "activation": run["activation"],
                    "logStd": None if log_std is None else float(log_std[0]),
                    "theta": encoded(weights["net.theta"]),
                }
            )
    return found


def read_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of the runs in a folder, by name; a ValueError if there are none."""
    runs = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    if not runs:
        raise ValueError(f"{folder} holds no policies: python -m book.sandbox trains them")
    return runs


def read_weights(folder: Path, name: str, step: int) -> dict[str, NDArray]:
    """The arrays of one policy by their names in the library: ``net.theta``, maybe ``log_std``."""
    arrays = safetensors.numpy.load_file(folder / f"{name}.safetensors")
    found = {
        key.partition("/")[2]: np.asarray(x)
        for key, x in arrays.items()
        if key.partition("/")[0] == str(step)
    }
    if not found:
        raise ValueError(f"{name}.safetensors holds no policy of step {step}: {sorted(arrays)}")
    return found


def encoded(x: NDArray) -> str:
    """The bytes of float32 numbers, the lowest byte first, in base64."""
    return base64.b64encode(x.astype(np.dtype("<f4")).tobytes()).decode()


def write_script(app: Sphinx, exception: Exception | None) -> None:
    """Write the script into the built book, if that has the page."""
    if exception is None and PAGE in app.env.found_docs:
        data = json.dumps(policies(Path(app.srcdir) / "results" / "sandbox"), indent=1)
        text = f"window.SANDBOX_POLICIES = {data};\n"
        (Path(app.outdir) / SCRIPT).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", write_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
