"""Modules that take seconds to import: loaded before the clock of a run starts.

They are loaded when the first job comes that may need one, and in a worker of their own: where torch
is not loaded, forking a child takes a quarter of the time.
"""

import contextlib
import importlib
import re
import sys

SLOW = {
    # The first use of an optimiser, or of torch.func.grad, imports torch's compiler.
    "torch._dynamo": re.compile(r"\b(optim|func|functorch|hessian|jacrev|jacfwd)\b"),
    "scipy.stats": re.compile(r"\bscipy\b"),
}
IMPORTED = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)
WITHOUT_TORCH = sys.stdlib_module_names | {"numpy"}  # what is known not to import it


def is_large(job: dict) -> bool:
    """Tell whether a job may need anything that is slow to import."""
    return needs_torch(job) or bool(needed(text_of(job)))


def needs_torch(job: dict) -> bool:
    """Tell whether a job, as in `child.run_job`, may need torch.

    Most harnesses make tensors by functions of `tools`, so having one is reason enough.
    """
    text = text_of(job)
    if job["harness"] or job["helpers"] or "torch" in text:
        return True
    if any(map(holds_tensor, job["probes"])):
        return True
    return not WITHOUT_TORCH.issuperset(IMPORTED.findall(text))


def holds_tensor(packed) -> bool:
    """Tell whether there is a tensor in what `wire.pack` wrote, or in a list of it."""
    if isinstance(packed, list):  # of a dict's items, each is a name and a value
        return any(map(holds_tensor, packed))
    if not isinstance(packed, dict):
        return False
    return packed["kind"] == "tensor" or holds_tensor(packed.get("items"))


def preload(text: str) -> None:
    """Import the slow modules that code with this text may use.

    Parameters
    ----------
    text : str
        The code, or the names in it. It is only searched, never run.
    """
    for module in needed(text):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def needed(text: str) -> list[str]:
    """Return the slow modules that a text speaks of."""
    return [
        module
        for module, words in SLOW.items()
        if module.partition(".")[0] in text and words.search(text)
    ]


def text_of(job: dict) -> str:
    """Return the code of a job: the submission's and the harness's."""
    sources = [source for _, _, source in job["fragments"]]
    return "\n".join([*sources, *(job["harness"] or [])])


def names_in(function) -> str:
    """Return the names that a function uses, and the modules that they come from."""
    code, known = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names, waiting = [], [code] if code else []
    while waiting:
        code = waiting.pop()
        names += code.co_names
        waiting += [part for part in code.co_consts if hasattr(part, "co_names")]
    values = [known.get(name) for name in names]
    return " ".join([*names, *(str(getattr(value, "__module__", "")) for value in values)])
