"""How heavy the built pages are, and how soon they show text: ``python -m book.measure``.

Bytes are counted uncompressed, as a server without compression sends them. The first paint with
content is the browser's own measurement (Performance API) of a page opened from disk. A busy machine
only ever makes it later, so each page is opened several times and its best time counts.
"""

import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from book.browser import BrowserError, open_browser
from book.build import build
from book.links import Page
from book.notebooks import BuildError

MEDIAN, LARGEST, SITE = 1_500_000, 4_000_000, 60_000_000  # bytes
FIRST_PAINT = 1.5  # seconds
TRIES = 5
PAINT = """
const done = arguments[0];
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    if (entry.name === 'first-contentful-paint') done(entry.startTime / 1000);
}).observe({type: 'paint', buffered: true});
"""


def weights(html: Path) -> dict[str, int]:
    """Bytes of each page with what it alone loads, without what pages share."""
    pages = {
        file: loaded_by(file)
        for file in sorted(html.resolve().rglob("*.html"))
        if "_static" not in file.relative_to(html.resolve()).parts
    }
    uses = Counter(path for loaded in pages.values() for path in loaded)
    return {
        file.relative_to(html.resolve()).as_posix(): _size(file)
        + sum(_size(path) for path in loaded if uses[path] == 1)
        for file, loaded in pages.items()
    }


def loaded_by(file: Path) -> set[Path]:
    """The files that a page loads."""
    addresses = map(urlsplit, Page(file.read_text("utf-8")).loaded)
    return {(file.parent / unquote(a.path)).resolve() for a in addresses if not a.scheme}


def _size(path: Path) -> int:
    return path.stat().st_size


def too_heavy(html: Path) -> list[str]:
    """What is heavier than it may be, and by how much."""
    pages = weights(html)
    chapters = [size for name, size in pages.items() if name.startswith("chapters/")]
    heaviest = max(pages, key=pages.__getitem__)
    measured = (
        ("the median chapter", statistics.median(chapters), MEDIAN),
        (f"the largest page, {heaviest},", pages[heaviest], LARGEST),
        ("the whole site", sum(map(_size, filter(Path.is_file, html.rglob("*")))), SITE),
    )
    for what, size, limit in measured:
        print(f"{what} has {size / 1e6:.2f} MB of at most {limit / 1e6:.1f} MB")
    return [f"{what} has {size / 1e6:.2f} MB" for what, size, limit in measured if size > limit]


def first_paints(html: Path, names: list[str], browser) -> dict[str, float]:
    """Seconds from opening each page from disk to its first text, the best of some tries."""
    best = {}
    for name in names:
        times = []
        for _ in range(TRIES):
            browser.get("about:blank")
            browser.get((html / name).as_uri())
            times.append(browser.execute_async_script(PAINT))
        best[name] = min(times)
    return best


def main() -> int:
    """Measure the book of the current folder, print the numbers, and fail if one is over its limit."""
    root = Path(__file__).resolve().parent.parent
    try:
        html = build(root).parent
        faults = too_heavy(html)
        with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as browser:
            paints = first_paints(html, list(weights(html)), browser)
    except (BuildError, BrowserError) as error:
        print(f"\nNothing was measured.\n{error}", file=sys.stderr)
        return 1
    for name, seconds in sorted(paints.items(), key=lambda pair: -pair[1]):
        print(f"{seconds:6.2f} s  {name}")
        if seconds > FIRST_PAINT:
            faults.append(f"{name} shows its first text after {seconds:.2f} s")
    for fault in faults:
        print(f"over the limit: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
