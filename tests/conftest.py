"""What the tests of the book and of the library share."""

import contextlib
import os
import shutil
import signal

import pytest

os.environ.setdefault("MPLBACKEND", "agg")  # no test opens a window
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A job in the background ignores Ctrl-C, and so would the programs that tests interrupt.
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other make tests slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The network is cut: every name fails to resolve, so that whatever a page fetches fails loudly.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def skip_or_fail(reason: str) -> None:
    """Skip a test that this machine cannot run; with CI=true that is a failure."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, and CI=true allows no skips")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One headless Chromium (or Chrome) for the whole session, without a network."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        what = "Chrome or Chromium" if browser is None else "chromedriver"
        skip_or_fail(f"there is no {what} on this machine (make browser installs both)")
    webdriver = pytest.importorskip("selenium.webdriver")

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Given the path of the driver, Selenium does not go looking for one to download.
    service = webdriver.ChromeService(executable_path=driver)
    window = webdriver.Chrome(options=options, service=service)
    # A long page on a busy machine: nothing here is decided by how long it takes.
    window.command_executor.client_config.timeout = 600
    window.set_script_timeout(590)
    yield window
    window.quit()
