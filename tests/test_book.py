"""Every page of the built book in a browser: from a file, without a network, also on a phone."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from book.build import build, table_of_contents
from book.exam import bank
from book.llms import index
from book.notebooks import AGAIN
from book.slides import make_slides
from book.tagged_equations import TAG_COMMAND, anchor

ROOT = Path(__file__).resolve().parent.parent
LEFT, RIGHT = "\ue012", "\ue014"
LOCAL = ("file:", "data:", "blob:", "about:")

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
const dollars = [];
while (text.nextNode())
  if (text.currentNode.data.includes('$')) dollars.push(text.currentNode.data);
const all = selector => [...document.querySelectorAll(selector)];
return {
  ids: all('[id]').map(e => e.id),
  links: all('a[href]').map(e => e.href),
  labelled: all('div.math[id]').filter(e => e.querySelector('mjx-mlabeledtr')).map(e => e.id),
  raw: all('.math').filter(e => !e.querySelector('mjx-container')).map(e => e.textContent),
  errors: all('mjx-merror, merror').map(e => e.textContent),
  dollars: dollars,
  nameless: all('img').filter(e => !e.alt.trim()).map(e => e.outerHTML.slice(0, 200)),
};
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


def open_page(browser, file, width=1280, scheme="light"):
    """Open a file at a width, in light or dark mode, and wait until its equations are typeset."""
    phone = width < 600
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(file.as_uri())
    browser.execute_async_script(READY)


@pytest.fixture(scope="module")
def findings(chromium, html):
    """What is found on each page, opened once on a wide screen, and what it asked for."""
    found = {}
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    for name, file in pages_of(html).items():
        open_page(chromium, file)
        found[name] = chromium.execute_script(FINDINGS)
        entries = chromium.get_log("performance")
        events = [json.loads(entry["message"])["message"] for entry in entries]
        found[name]["requests"] = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"].startswith("file:")  # not the browser's own pages
        ]
        found[name]["console"] = [
            entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"
        ]
    return found


def faults(findings, key):
    """The pages with something under a key, and what it is."""
    return {name: page[key] for name, page in findings.items() if page[key]}


def test_every_page_of_the_contents_was_opened(findings):
    assert {built(page) for page in table_of_contents(ROOT)} <= set(findings)


def test_no_page_asks_anything_of_the_network(findings):
    asked = {
        name: [url for url in page["requests"] if not url.startswith(LOCAL)]
        for name, page in findings.items()
    }
    assert all(page["requests"] for page in findings.values())  # the log itself works
    assert {name: urls for name, urls in asked.items() if urls} == {}


def test_no_page_has_an_error_in_the_console(findings):
    assert faults(findings, "console") == {}


def test_every_equation_is_typeset_without_an_error(findings):
    assert faults(findings, "raw") == {}
    assert faults(findings, "errors") == {}


def test_no_dollar_sign_is_left_in_the_text(findings):
    assert faults(findings, "dollars") == {}


def test_every_picture_has_a_text(findings):
    assert faults(findings, "nameless") == {}


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


def test_no_page_scrolls_sideways_on_a_phone(chromium, html):
    wide = {}
    for name, file in pages_of(html).items():
        open_page(chromium, file, width=390)
        width = chromium.execute_script("return document.documentElement.scrollWidth")
        if width > 390:
            wide[name] = width
    assert wide == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cards_and_captions_have_contrast(chromium, html, scheme):
    poor = {}
    for name, file in pages_of(html).items():
        open_page(chromium, file, scheme=scheme)
        assert chromium.execute_script("return document.documentElement.dataset.theme") == scheme
        text = ".book-card, .book-card *, .playable *, summary"
        if found := chromium.execute_script(CONTRAST, text):
            poor[name] = found
    assert poor == {}


def shown(figure):
    """The addresses of the pictures a playable figure shows."""
    pictures = figure.find_elements("css selector", "img")
    return [picture.get_attribute("src") for picture in pictures if picture.is_displayed()]


def test_every_playable_figure_changes_by_key_and_by_mouse(chromium, html):
    from selenium.webdriver import ActionChains

    played = 0
    for name, file in pages_of(html).items():
        open_page(chromium, file)
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
