"""What the tests of the book and of the library share."""

import contextlib
import os
import signal

import pytest

from book.browser import BrowserError, open_browser

os.environ.setdefault("MPLBACKEND", "agg")  # no test opens a window
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A job in the background ignores Ctrl-C, and so would the programs that tests interrupt.
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other make tests slow


SLOWEST_FIRST = ("test_book.py", "test_mutants.py")  # a slow file begun last leaves a core idle


def pytest_collection_modifyitems(items):
    """Begin with the slowest files; the others keep their order."""
    place = {name: i for i, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def skip_or_fail(reason: str) -> None:
    """Skip a test that this machine cannot run; with CI=true that is a failure."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, and CI=true allows no skips")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One headless Chromium (or Chrome) for the whole session, without a network."""
    pytest.importorskip("selenium.webdriver")
    try:
        with open_browser(tmp_path_factory.mktemp("chromium")) as window:
            yield window
    except BrowserError as error:
        skip_or_fail(str(error))
