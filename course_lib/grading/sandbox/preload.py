"""Modules that take seconds to import: loaded before the clock of a run starts.

They are loaded when the first job comes that may need one, and in a worker of their own: where torch
is not loaded, forking a child takes a quarter of the time.
"""

import ast
import contextlib
import importlib
import re
import sys
import warnings

SLOW = {
    # The first use of an optimiser, or of torch.func.grad, imports torch's compiler.
    "torch._dynamo": {"optim", "func", "functorch", "hessian", "jacrev", "jacfwd"},
    # Broadcasting of shapes imports sympy; where that is cut short it stays broken.
    "torch.fx.experimental.symbolic_shapes": {
        "MultivariateNormal",
        "LowRankMultivariateNormal",
        "broadcast_shapes",
    },
    "scipy.stats": {"scipy"},
}
WITHOUT_TORCH = sys.stdlib_module_names | {"numpy"}  # what is known not to import it
DOTTED = re.compile(r"\w+(\.\w+)*")


def modules_for(job: dict) -> list[str]:
    """Return the slow modules that a job, as in `child.run_job`, may need, torch first."""
    words, imported = names_of(text_of(job))
    torch = ["torch"] if needs_torch(job, words, imported) else []
    return torch + needed(words)


def needs_torch(job: dict, words: set[str], imported: set[str]) -> bool:
    """Tell whether a job with these names in its code may need torch.

    Most harnesses make tensors by functions of `tools`, so having one is reason enough.
    """
    if job["harness"] or job["helpers"] or "torch" in words:
        return True
    return any(map(holds_tensor, job["probes"])) or not imported <= WITHOUT_TORCH


def holds_tensor(packed) -> bool:
    """Tell whether there is a tensor in what `wire.pack` wrote, or in a list of it."""
    if isinstance(packed, list):  # of a dict's items, each is a name and a value
        return any(map(holds_tensor, packed))
    if not isinstance(packed, dict):
        return False
    return packed["kind"] == "tensor" or holds_tensor(packed.get("items"))


def preload(modules: list[str]) -> None:
    """Import these modules where they are installed; one thread is enough for small answers."""
    for module in modules:
        with contextlib.suppress(ImportError):
            loaded = importlib.import_module(module)
            if module == "torch":
                loaded.set_num_threads(1)


def needed(words: set[str]) -> list[str]:
    """Return the slow modules besides torch that code with these names may use."""
    return [
        module
        for module, signs in SLOW.items()
        if module.partition(".")[0] in words and signs & words
    ]


def names_of(source: str) -> tuple[set[str], set[str]]:
    """Return the names that code uses, and the packages that it imports. It is never run.

    Names are those of variables, attributes and modules, and texts that are nothing but a name,
    such as that of a module to import. What a docstring or a comment speaks of does not count.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        words = set(re.findall(r"\w+", source))
        return words, words
    dotted: set[str] = set()
    modules: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            dotted.add(node.id)
        elif isinstance(node, ast.Attribute):
            dotted.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted.add(node.value if DOTTED.fullmatch(node.value) else "")
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
            dotted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
    words = {word for name in dotted | modules for word in name.split(".")}
    return words, {module.partition(".")[0] for module in modules}


def text_of(job: dict) -> str:
    """Return the code of a job: the submission's and the harness's."""
    sources = [source for _, _, source in job["fragments"]]
    return "\n".join([*sources, *(job["harness"] or [])])


def names_in(function) -> set[str]:
    """Return the names that a function uses, and the modules that they come from."""
    code, known = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names, waiting = [], [code] if code else []
    while waiting:
        code = waiting.pop()
        names += code.co_names
        waiting += [part for part in code.co_consts if hasattr(part, "co_names")]
    values = [known.get(name) for name in names]
    places = [str(getattr(value, "__module__", "")) for value in values]
    return {word for name in [*names, *places] for word in name.split(".")}
