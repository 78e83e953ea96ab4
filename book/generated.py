"""Write every page that follows from the notebooks and results: ``python -m book.generated``.

`make exercises` runs it, and a test fails where a page is not what it would write.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from . import appendices, course, films, films_page, map, reproducing, tasks

#: Where a page stands, and what makes its text from the repository's folder.
PAGES: dict[Path, Callable[[Path], str]] = {
    appendices.PAGE: appendices.equation_map,
    appendices.FORMULAS: appendices.formula_page,
    appendices.REFERENCES: appendices.reference_page,
    reproducing.PAGE: reproducing.reproduction_page,
    map.PAGE: map.page,
    tasks.PAGE: tasks.page,
    course.PAGE: course.page,
    films.PAGE: films_page.page,
    films_page.README: films_page.readme,
}


def main() -> int:
    """Write the pages of this repository's book."""
    root = Path(__file__).resolve().parent.parent
    for page, text_of in PAGES.items():
        (root / page).write_text(text_of(root), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
