"""One headless Chromium without a network, for what prints, measures and tests the built pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
PATIENCE = 600  # seconds for one command: nothing is decided by how busy the machine is


class BrowserError(Exception):
    """There is no browser to open pages with; the message says what is missing."""


@contextmanager
def open_browser(profile: Path) -> Iterator:
    """A Selenium driver of Chromium (or Chrome) with a fresh profile in the folder ``profile``.

    Raises
    ------
    BrowserError
        If the browser or its driver is not installed.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        what = "Chrome or Chromium" if browser is None else "chromedriver"
        raise BrowserError(f"there is no {what} on this machine (make browser installs both)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Given the path of the driver, Selenium does not go looking for one to download.
    service = webdriver.ChromeService(executable_path=driver)
    window = webdriver.Chrome(options=options, service=service)
    window.command_executor.client_config.timeout = PATIENCE
    window.set_script_timeout(PATIENCE - 10)
    try:
        yield window
    finally:
        window.quit()
