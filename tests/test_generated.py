"""Pages that follow from notebooks and results are what `make exercises` would write."""

from pathlib import Path

import pytest

from book.generated import PAGES

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_what_would_be_written(page):
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page](ROOT)
