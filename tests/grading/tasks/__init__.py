"""What the tests know about the graded tasks, one module per chapter.

A module may hold, each a dict by task:

``LIBRARY``: the library's function for it, called like the student's.
``EQUIVALENT``: mutants of the solution that compute the same: (what was changed, why it is the
same).
``CORRECT``: sources of correct but different solutions.
``WRITTEN``: (source, name of the mistake): what students write, and what the judge must call it.
"""

import importlib
import pkgutil

MODULES = [importlib.import_module(f"tasks.{m.name}") for m in pkgutil.iter_modules(__path__)]


def collected(name: str) -> dict:
    """Return the entries of one kind, of all chapters."""
    entries: dict = {}
    for module in MODULES:
        entries |= getattr(module, name, {})
    return entries


LIBRARY = collected("LIBRARY")
EQUIVALENT = collected("EQUIVALENT")
CORRECT = collected("CORRECT")
WRITTEN = collected("WRITTEN")
