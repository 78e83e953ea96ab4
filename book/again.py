"""In the kernel: what each cell worked with, so that a slow cell need not run a second time.

When the cells of a notebook run again, a slow one gives back the objects of the first time: those that
it bound to a name, and those that it only used, for it may have put something into them.
"""

import symtable

from IPython import get_ipython

kept: dict[str, dict[str, object]] = {}  # a cell's code -> its names, as they were when it had run


def keep(result) -> None:
    """After a cell: its names, each with the object that it stands for then."""
    if result.success:
        names = get_ipython().user_ns
        found = names_in(get_ipython().transform_cell(result.info.raw_cell))
        kept[result.info.raw_cell] = {name: names[name] for name in found if name in names}


def give_back(code: str) -> None:
    """Instead of a cell: its names again."""
    get_ipython().user_ns.update(kept[code])


def names_in(code: str) -> list[str]:
    """Names that code binds or uses at its top level.

    >>> names_in("import os\\nfor i in x:\\n    found[i] = [j for j in 'ab']\\ndef f(y): z = y")
    ['f', 'found', 'i', 'os', 'x']
    """
    return sorted(s.get_name() for s in symtable.symtable(code, "cell", "exec").get_symbols())


def begin() -> None:
    """Keep the names of every cell from now on."""
    get_ipython().events.register("post_run_cell", keep)
