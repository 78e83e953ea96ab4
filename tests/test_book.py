"""Every page of the built book in a browser: from a file, without a network, also on a phone.

A page is opened once from its file and looked at in light and in dark, at three widths; and once from
a server on this machine.
"""

import base64
import functools
import http.server
import json
import re
import threading
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from book.build import build, table_of_contents
from book.exam import bank
from book.links import LIST
from book.llms import index
from book.measure import too_heavy
from book.notebooks import AGAIN
from book.slides import make_slides
from book.tagged_equations import TAG_COMMAND, anchor
from tests import accessibility as axe

ROOT = Path(__file__).resolve().parent.parent
LEFT, RIGHT, TAB, ENTER, SPACE = "\ue012", "\ue014", "\ue004", "\ue007", " "
LOCAL = ("file:", "data:", "blob:", "about:")
PHONE, TABLET, DESKTOP = WIDTHS = (320, 768, 1400)

# Folded answers are opened: what they hold is part of the page.
READY = """
const done = arguments[0];
document.querySelectorAll('details').forEach(details => { details.open = true; });
const typeset = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
typeset.then(() => requestAnimationFrame(() => setTimeout(done, 50)));
"""

FINDINGS = r"""
const text = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, node =>
  node.parentElement.closest('script, style, code, pre, mjx-container')
    ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
// A GIF, or a WebP file whose header says that it is animated.
const moves = ({src}) => /^data:image.gif|[.](gif|webp|apng)$/.test(src)
  || (/^data:image.webp;base64,/.test(src)
      && /^RIFF....WEBPVP8X/s.test(atob(src.slice(23, 63))) && atob(src.slice(23, 63)).charCodeAt(20) & 2);
const dollars = [];
while (text.nextNode())
  if (text.currentNode.data.includes('$')) dollars.push(text.currentNode.data);
const all = selector => [...document.querySelectorAll(selector)];
return {
  ids: all('[id]').map(e => e.id),
  links: all('a[href]').map(e => new URL(e.getAttribute('href'), document.baseURI).href),
  labelled: all('div.math[id]').filter(e => e.querySelector('mjx-mlabeledtr')).map(e => e.id),
  raw: all('.math').filter(e => !e.querySelector('mjx-container')).map(e => e.textContent),
  errors: all('mjx-merror, merror').map(e => e.textContent),
  dollars: dollars,
  moving: all('img').filter(e => moves(e) && !e.closest('.film')?.querySelector('button'))
    .map(e => e.alt),
  nameless: all('img').filter(e => !e.alt.trim()).map(e => e.outerHTML.slice(0, 200)),
};
"""

# How wide the page is; scripts get some seconds to fit it to a new window.
SETTLED = """
const [width, done] = arguments;
let tries = 100;
(function look() {
  const shown = document.documentElement.scrollWidth;
  if (shown <= width || tries-- === 0) done(shown); else setTimeout(look, 50);
})();
"""

CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function pixel(colours) {  // what is seen when colours lie on each other, the last on top
  canvas.clearRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
function luminance(rgb) {
  const [r, g, b] = rgb.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const poor = [];
for (const e of document.querySelectorAll(arguments[0])) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  const layers = [];
  for (let p = e; p; p = p.parentElement) layers.unshift(getComputedStyle(p).backgroundColor);
  const ground = luminance(pixel(layers));
  const ink = luminance(pixel([...layers, getComputedStyle(e).color]));
  const ratio = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
  if (ratio < 4.5) poor.push(`${ratio.toFixed(2)}: ${e.textContent.trim().slice(0, 60)}`);
}
return poor;
"""

THEME = "return document.documentElement.dataset.theme"
INK = ".book-card, .book-card *, .playable *, .film *, summary"

# How many characters of a page's own text fit in its lines.
MEASURE = """
const paragraphs = [...document.querySelectorAll('.bd-article section > p')];
const p = paragraphs.find(e => e.textContent.length > 200 && !e.querySelector('mjx-container'));
const line = document.createElement('span');
line.style.cssText = 'position: absolute; visibility: hidden; white-space: nowrap';
line.textContent = p.textContent;
p.append(line);
const wide = line.getBoundingClientRect().width;
line.remove();
return p.clientWidth / (wide / p.textContent.length);
"""


RESET = """
arguments[0].value = arguments[0].defaultValue;
arguments[0].dispatchEvent(new Event('input', {bubbles: true}));
"""


@pytest.fixture(scope="module")
def html():
    """The folder of the built book; builds it if it is not there or not fresh.

    Cells run twice, and must print the same both times.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(AGAIN, "1")
        return build(ROOT).parent


def pages_of(html):
    """Every built page by its name, without the theme's own snippets."""
    files = {file.relative_to(html).as_posix(): file for file in sorted(html.rglob("*.html"))}
    return {name: file for name, file in files.items() if not name.startswith("_static/")}


def built(page):
    """The name of the built page of a source."""
    return Path(page).with_suffix(".html").as_posix()


def set_width(browser, width):
    """Make the window so many CSS pixels wide."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def set_scheme(browser, scheme):
    """Tell pages that the reader's system is light or dark."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def open_page(browser, address, width=DESKTOP, scheme="light"):
    """Open a page at a width, in light or dark mode, and wait until its equations are typeset."""
    set_width(browser, width)
    set_scheme(browser, scheme)
    browser.get(address)
    browser.execute_async_script(READY)


def heard(browser, scheme):
    """What the page of this scheme asked for since the last call, and its errors in the console."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        "requests": [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"].startswith(scheme)  # not the browser's own pages
        ],
        "console": [
            entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"
        ],
    }


@pytest.fixture(scope="module")
def findings(chromium, html):
    """What is found on each page, opened once from its file, and what it asked for."""
    found = {}
    heard(chromium, "file:")
    for name, file in pages_of(html).items():
        open_page(chromium, file.as_uri())
        page = found[name] = chromium.execute_script(FINDINGS) | heard(chromium, "file:")
        page["wide"], page["poor"], page["theme"] = [], [], []
        for scheme in ("light", "dark"):
            set_scheme(chromium, scheme)
            for width in WIDTHS:
                set_width(chromium, width)
                shown = chromium.execute_async_script(SETTLED, width)
                if shown > width:
                    page["wide"].append(f"{shown} at {width}, {scheme}")
            page["theme"].append(chromium.execute_script(THEME))  # the page has followed by now
            page["poor"] += [f"{scheme}: {poor}" for poor in chromium.execute_script(CONTRAST, INK)]
        page["broken"] = broken_rules(chromium) if axe.FILE.is_file() else []
    return found


def broken_rules(browser):
    """What axe-core finds on the page that is open: all rules in light mode, those about colours in
    dark mode too, and the others on a phone too."""
    browser.execute_script(axe.STILL + axe.source())
    found = [f"dark: {line}" for line in axe.violations(browser, axe.COLOURS)]
    set_scheme(browser, "light")
    found += axe.violations(browser)
    set_width(browser, PHONE)
    return found + [f"phone: {line}" for line in axe.violations(browser, axe.STRUCTURE)]


@pytest.fixture(scope="module")
def served(chromium, html):
    """What each page asked for and logged when it was opened from a server on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    found = {}
    handler = functools.partial(Quiet, directory=html)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}/"
        heard(chromium, "http:")
        for name in pages_of(html):
            open_page(chromium, site + quote(name))
            found[name] = {"site": site} | heard(chromium, "http:")
        chromium.get("about:blank")
        server.shutdown()
    return found


def faults(findings, key):
    """The pages with something under a key, and what it is."""
    return {name: page[key] for name, page in findings.items() if page[key]}


def test_every_page_of_the_contents_was_opened(findings):
    assert {built(page) for page in table_of_contents(ROOT)} <= set(findings)


def test_no_page_asks_anything_of_the_network(findings, served):
    for pages in (findings, served):
        asked = {
            name: [
                u for u in page["requests"] if not u.startswith((*LOCAL, page.get("site", "file:")))
            ]
            for name, page in pages.items()
        }
        assert all(page["requests"] for page in pages.values())  # the log itself works
        assert {name: urls for name, urls in asked.items() if urls} == {}


def test_no_page_has_an_error_in_the_console(findings, served):
    assert faults(findings, "console") == {}
    assert faults(served, "console") == {}


def test_every_equation_is_typeset_without_an_error(findings):
    assert faults(findings, "raw") == {}
    assert faults(findings, "errors") == {}


def test_no_dollar_sign_is_left_in_the_text(findings):
    assert faults(findings, "dollars") == {}


def test_every_picture_has_a_text(findings):
    assert faults(findings, "nameless") == {}


def test_every_moving_picture_can_be_stopped(findings):
    assert faults(findings, "moving") == {}


def tags_of(page):
    """The equation tags in the source of a page, code left aside."""
    text = (ROOT / page).read_text()
    if page.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        text = "\n\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert text.count(r"\tag{") == len(TAG_COMMAND.findall(text)), f"{page}: a tag is not like 2.7"
    return TAG_COMMAND.findall(text)


def test_every_tagged_equation_shows_its_number_at_its_anchor(findings):
    tags = {page: tags_of(page) for page in table_of_contents(ROOT)}
    labelled = {page: findings[built(page)]["labelled"] for page in tags}
    missing = {page: {anchor(tag) for tag in tags[page]} - set(labelled[page]) for page in tags}
    assert {page: anchors for page, anchors in missing.items() if anchors} == {}


def test_every_local_link_leads_somewhere(findings, html):
    broken = []
    for name, page in findings.items():
        for link in page["links"]:
            parts = urlsplit(link)
            if parts.scheme != "file":
                continue
            file = Path(unquote(parts.path))
            target = (
                findings.get(file.relative_to(html).as_posix())
                if file.is_relative_to(html)
                else None
            )
            if not file.is_file() or (
                target and parts.fragment and parts.fragment not in target["ids"]
            ):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_links_to_elsewhere_are_listed(findings, html):
    lines = (html / LIST).read_text().splitlines()
    seen = {link for page in findings.values() for link in page["links"] if link.startswith("http")}
    assert {urlsplit(line).geturl() for line in lines if not line.startswith(" ")} == seen


def test_a_line_of_text_has_about_seventy_characters(chromium, html):
    for name in ("intro.html", "chapters/01_policy_gradients.html"):
        open_page(chromium, (html / name).as_uri(), width=1400)
        assert 64 <= chromium.execute_script(MEASURE) <= 78, name


def test_no_page_is_heavy(html):
    assert too_heavy(html) == []


def test_no_page_scrolls_sideways(findings):
    assert faults(findings, "wide") == {}


def test_cards_and_captions_have_contrast(findings):
    assert {tuple(page["theme"]) for page in findings.values()} == {("light", "dark")}
    assert faults(findings, "poor") == {}


def test_no_page_breaks_a_rule_of_axe_core(findings):
    axe.source()  # or skip
    assert faults(findings, "broken") == {}


# Notes every element that gets the focus, and whether one sees that it has it.
WATCH = """
window.visited = [];
document.addEventListener('focusin', ({target}) => {
  const {outlineStyle, outlineWidth} = getComputedStyle(target);
  const seen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  visited.push({element: target, seen});
});
"""
# What a reader with a keyboard must come to: what can be pressed or moved, and what scrolls by itself.
UNREACHED = """
const reached = new Set(visited.map(({element}) => element));
const shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
const scrolls = e => e.scrollWidth > e.clientWidth + 1
  && /auto|scroll/.test(getComputedStyle(e).overflowX);
const name = e => e.outerHTML.slice(0, 120);
return {
  count: reached.size,
  unreached: [...document.querySelectorAll('a[href], button, input, summary')].filter(shown)
    .concat([...document.querySelectorAll('article *')].filter(
      e => scrolls(e) && shown(e) && !e.closest('mjx-container, button')))
    .filter(e => !reached.has(e) && !e.querySelector('a, button, input')).map(name),
  unseen: visited.filter(({seen}) => !seen).map(({element}) => name(element)),
  math: [...reached].filter(e => e.closest('mjx-container')).length,
};
"""


@pytest.fixture
def chapter(chromium, html):
    """A chapter with a playable figure, folded answers and a film, opened with its folds closed."""
    name = "chapters/01_policy_gradients.html"
    open_page(chromium, (html / name).as_uri())
    chromium.execute_script(
        "document.querySelectorAll('details').forEach(d => { d.open = false; })"
    )
    return chromium


def press(browser, *keys):
    """Press keys one after another, wherever the focus is."""
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def test_the_first_stop_of_the_keyboard_leads_past_the_menus(chapter):
    from selenium.webdriver.support.ui import WebDriverWait

    press(chapter, TAB)
    link = chapter.switch_to.active_element
    assert link.get_attribute("textContent").strip() == "Skip to main content"
    # It slides into sight with the focus.
    WebDriverWait(chapter, 60).until(lambda _: link.rect["y"] >= 0)
    press(chapter, ENTER)
    assert chapter.execute_script("return location.hash") == "#main-content"
    press(chapter, TAB)
    assert chapter.execute_script("return !!document.activeElement.closest('main')")


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(chapter):
    chapter.execute_script(WATCH)
    stops = chapter.execute_script(
        "return document.querySelectorAll('a, button, input, *[tabindex], summary').length"
    )
    for _ in range(stops // 50 + 1):
        press(chapter, *[TAB] * 50)
        if chapter.execute_script("return document.activeElement === document.body"):
            break  # past the last
    found = chapter.execute_script(UNREACHED)
    assert found["count"] > 20
    assert found["unreached"] == []
    assert found["unseen"] == []
    assert found["math"] == 0  # hundreds of equations are no stops


def test_folds_open_and_close_by_key(chapter):
    folds = chapter.find_elements("css selector", "article summary")
    assert folds
    for fold in folds[:3]:
        chapter.execute_script("arguments[0].focus()", fold)
        for key, state in ((ENTER, True), (SPACE, False)):
            press(chapter, key)
            assert chapter.execute_script("return arguments[0].parentElement.open", fold) is state


def shown(figure):
    """The addresses of the pictures a playable figure shows."""
    pictures = figure.find_elements("css selector", "img")
    return [picture.get_attribute("src") for picture in pictures if picture.is_displayed()]


def test_every_playable_figure_changes_by_key_and_by_mouse(chromium, html):
    from selenium.webdriver import ActionChains

    played = 0
    for name, file in pages_of(html).items():
        if 'class="playable"' not in file.read_text():
            continue
        open_page(chromium, file.as_uri())
        for figure in chromium.find_elements("css selector", ".playable"):
            for slider in figure.find_elements("css selector", "input"):
                played += 1
                chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
                at_end = slider.get_attribute("value") == slider.get_attribute("max")
                before = shown(figure)
                slider.send_keys(LEFT if at_end else RIGHT)
                after_key = shown(figure)
                assert len(before) == len(after_key) == 1, f"{name}: one picture at a time"
                assert before != after_key, f"{name}: an arrow key changes the picture"
                low = int(slider.get_attribute("value")) <= int(slider.get_attribute("max")) / 2
                reach = slider.size["width"] // 2 - 2
                ActionChains(chromium).move_to_element_with_offset(
                    slider, reach if low else -reach, 0
                ).click().perform()
                assert shown(figure) != after_key, f"{name}: the mouse changes the picture"
                chromium.execute_script(RESET, slider)
    assert played, "the book holds no playable figure"


# What stands on a slide and should not, and whether its figures were loaded.
ON_SLIDES = """
return {
  count: slides.length,
  high: slides.flatMap((s, i) => s.scrollHeight > s.clientHeight + 1 ? [i + 1] : []),
  wide: slides.flatMap((s, i) => s.scrollWidth > s.clientWidth + 1 ? [i + 1] : []),
  errors: document.querySelectorAll('mjx-merror, merror').length,
  equations: document.querySelectorAll('mjx-container').length,
  raw: slides.filter(s => /\\\\\\(|\\\\\\[|\\$/.test(s.innerText)).length,
  empty: [...document.images].filter(i => !i.complete || !i.naturalWidth || !i.alt.trim()).length,
};
"""


def test_slides_show_their_figures_and_turn_by_key_without_a_network(chromium, html):
    """`make slides`: every deck at the size of a projector."""
    from selenium.webdriver import ActionChains

    folder = make_slides(ROOT).parent
    size = {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    for file in sorted(folder.glob("part_*.html")):
        chromium.get(file.as_uri())
        chromium.execute_async_script(READY)
        found = chromium.execute_script(ON_SLIDES)
        count, equations = found.pop("count"), found.pop("equations")
        nothing = {"high": [], "wide": [], "errors": 0, "raw": 0, "empty": 0}
        assert (file.name, found) == (file.name, nothing)
        assert equations > 0 or file.stem == "part_5"
        place = chromium.find_element("css selector", "nav output")
        for key, number in ((RIGHT, 2), (RIGHT, 3), (LEFT, 2), ("\ue010", count), (RIGHT, count)):
            ActionChains(chromium).send_keys(key).perform()
            assert place.text == f"{number} / {count}"
        shown = chromium.find_elements("css selector", "section.shown")
        assert len(shown) == 1
        slider = chromium.find_element("css selector", "input")
        slide = "return slides.findIndex(s => s.contains(arguments[0]))"
        chromium.execute_script(f"show(({slide.removeprefix('return ')}))", slider)
        before = place.text, slider.get_attribute("value")
        at_end = slider.get_attribute("value") == slider.get_attribute("max")
        slider.send_keys(LEFT if at_end else RIGHT)
        assert place.text == before[0]  # the slider keeps its keys
        assert slider.get_attribute("value") != before[1]
    asked = [
        message["params"]["request"]["url"]
        for entry in chromium.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
        and message["params"]["documentURL"].startswith("file:")
    ]
    assert asked
    assert [url for url in asked if not url.startswith(LOCAL)] == []
    assert [e["message"] for e in chromium.get_log("browser") if e["level"] == "SEVERE"] == []


def test_slides_print_one_on_each_page(chromium, html):
    folder = make_slides(ROOT).parent
    chromium.get((folder / "part_5.html").as_uri())
    chromium.execute_async_script(READY)
    count = chromium.execute_script("return slides.length")
    printed = chromium.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    pages = re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed))
    assert len(pages) == count


def test_no_answer_of_an_examination_is_in_the_built_book(html):
    answers = {
        number: [words.lower() for words in re.findall(r"[A-Za-z ,]{40,}", question.answer)]
        for number, question in bank(ROOT).items()
    }
    assert sum(map(bool, answers.values())) > 30
    for file in html.rglob("*"):
        if file.suffix in (".html", ".txt", ".ipynb", ".md", ".js"):
            text = " ".join(file.read_text(encoding="utf-8", errors="replace").split()).lower()
            for number, sentences in answers.items():
                assert [s for s in sentences if s in text] == [], f"{file}: answer {number}"


def test_the_index_for_machines_stands_at_the_root(html):
    text = (html / "llms.txt").read_text(encoding="utf-8")
    assert text == index(ROOT)
    for target in re.findall(r"\]\(([^)#]+\.html)(?:#[\w-]+)?\)", text):
        assert (html / target).is_file(), target
