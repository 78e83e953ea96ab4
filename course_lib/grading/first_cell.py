"""The first code cell of every notebook of the book, written down once.

It makes a notebook work on its own, for instance in Colab. A test keeps all notebooks equal to it,
and it is formatted so that ruff leaves it alone at 80 columns (chapters) as well as at 100.
"""

_TEMPLATE = """\
# Install the course library if this notebook runs on its own, for instance in Colab.
import importlib.util
import subprocess
import sys

REPOSITORY = "{repository}"

if importlib.util.find_spec("course_lib") is None:
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        f"git+{{REPOSITORY}}",
    ]
    if subprocess.run(install).returncode != 0:
        raise RuntimeError(
            f"The course library could not be installed from {{REPOSITORY}}. Is there a network? "
            "If the address says owner-not-set, this copy of the book does not know where it lives "
            "yet: write the address you got it from into REPOSITORY above and run the cell again, "
            "or run `make repository URL=...` once for all notebooks."
        )
    importlib.invalidate_caches()"""


def first_cell(repository: str) -> str:
    """Return the source of the first code cell.

    Parameters
    ----------
    repository : str
        Address of the repository, as in `_config.yml`: without ``.git`` and without a slash at its
        end, because ``git config url.<base>.insteadOf`` must be able to redirect it.
    """
    return _TEMPLATE.format(repository=repository)
