"""In the kernel: what each cell bound, so that a slow cell need not run a second time.

When the cells of a notebook run again, a slow one gives back the objects that it made the first time.
The cells after it then find the names as a reader finds them who runs every cell but that one.
"""

import symtable

from IPython import get_ipython

kept: dict[str, dict[str, object]] = {}  # a cell's code -> its names, as they were when it had run


def keep(result) -> None:
    """After a cell: its names, with the objects they stand for now."""
    if result.success:
        names = get_ipython().user_ns
        bound = bound_by(get_ipython().transform_cell(result.info.raw_cell))
        kept[result.info.raw_cell] = {name: names[name] for name in bound if name in names}


def give_back(code: str) -> None:
    """Instead of a cell: its names again."""
    get_ipython().user_ns.update(kept[code])


def bound_by(code: str) -> list[str]:
    """Names that code binds at its top level.

    >>> bound_by("import os\\nfor i in range(3):\\n    x = [j for j in 'ab']\\ndef f(y): z = y")
    ['os', 'i', 'x', 'f']
    """
    symbols = symtable.symtable(code, "cell", "exec").get_symbols()
    return [s.get_name() for s in symbols if s.is_assigned() or s.is_imported()]


def begin() -> None:
    """Keep the names of every cell from now on."""
    get_ipython().events.register("post_run_cell", keep)
