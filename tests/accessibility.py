"""axe-core, run on the page that a browser shows: what it finds against the rules of accessibility."""

from pathlib import Path

from tests.conftest import skip_or_fail

FILE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# These rules of axe-core are judged in light and in dark mode. The others do not depend on colours.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
STRUCTURE = {"rules": {name: {"enabled": False} for name in COLOURS["runOnly"]}}

# The glyphs of an equation are thousands of boxes without a text, hidden from screen readers, which
# get its MathML. axe-core would look at each of them; each equation keeps its place and its MathML.
STILL = """
for (const glyphs of document.querySelectorAll('mjx-container > mjx-math')) {
  const {width, height} = glyphs.getBoundingClientRect();
  glyphs.replaceChildren();
  glyphs.style.cssText = `display: inline-block; width: ${width}px; height: ${height}px`;
}
"""

# A header that is an equation is seen as glyphs that a style sheet draws, which axe-core does not take
# for visible text; screen readers have its MathML: it is not empty.
# A page may need a tenth of a second to follow a new window or new colours. Style sheets are not
# fetched a second time, which a page from a file may not do.
RUN = """
const [options, done] = arguments;
const isEquation = ({target}) => document.querySelector(target[0]).querySelector('mjx-container math');
const run = () => axe.run(document, {...options, resultTypes: ['violations'], preload: false}).then(
  result => done(result.violations.flatMap(({id, help, nodes}) => nodes.filter(
    node => id !== 'empty-table-header' || !isEquation(node)).map(
    node => `${id}: ${help}: ${node.target.join(' ')}: ${node.html.slice(0, 160)}`))),
  error => done([`axe-core failed: ${error}`]));
requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(run, 200)));
"""


def source():
    """The text of axe-core, which `make browser` installs."""
    if not FILE.is_file():
        skip_or_fail("axe-core is not installed (make browser installs it)")
    return FILE.read_text()


def violations(browser, options=None):
    """What axe-core finds on the page that is shown, one line for each element; put there before."""
    return browser.execute_async_script(RUN, options or {})
