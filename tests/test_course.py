"""The teachers' schedule and goals, and llms.txt: they agree with the chapters and leave nothing out."""

import json
import re
from pathlib import Path

import pytest
import yaml

from book.build import table_of_contents
from book.course import PAGE, WEEKS, minutes, schedule
from book.llms import index
from book.prose import prose

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
INDEX = index(ROOT)


def test_the_term_has_twelve_weeks_and_every_chapter_once():
    assert len(WEEKS) == 12
    assert [number for numbers, _ in WEEKS for number in numbers] == list(range(1, 16))
    table = TEXT.split("| Week |")[1].split("<!-- end -->")[0]
    read = re.findall(r"\[\d+\]\((chapters/\S+)\)", table)
    assert read == [path.relative_to(ROOT).as_posix() for path in CHAPTERS]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_goal_is_what_the_chapter_says(path):
    said = prose(path).split("**You will be able to** ")[1].split("\n")[0]
    (goal,) = [line for line in TEXT.splitlines() if f"]({path.relative_to(ROOT)}).**" in line]
    assert goal.endswith(f"Students {said}")
    assert said in INDEX


def test_times_are_added_up():
    row = "| 6 | [6](chapters/06_fisher_vector_products.ipynb), [7](chapters/07_conjugate_gradients"
    (line,) = [line for line in schedule(ROOT).splitlines() if line.startswith(row)]
    reading, running, writing = (line.split("|")[i].strip() for i in (3, 4, 6))
    words = sum(len(prose(CHAPTERS[i]).split()) for i in (5, 6))
    assert abs(int(reading.removesuffix(" min")) - words / 250) < 6  # the chapters promise that
    assert running == "60 s"
    assert writing == "85 min"


@pytest.mark.parametrize(
    ("words", "value"),
    [("20 minutes", 20), ("30 seconds", 0.5), ("a minute and a half", 1.5), ("half an hour", 30)],
)
def test_times_are_read(words, value):
    assert minutes(words) == value


def test_words_that_are_no_time_are_refused():
    with pytest.raises(ValueError, match="'a while' is no time like '20 minutes'"):
        minutes("a while")


def test_the_index_for_machines_has_every_page_and_every_equation():
    pages = set(re.findall(r"^- \[.+\]\((\S+)\.html\)", INDEX, re.M))
    contents = {Path(name).with_suffix("").as_posix() for name in table_of_contents(ROOT)}
    root = yaml.safe_load((ROOT / "_toc.yml").read_text())["root"]
    assert pages == contents - {root}
    tags = [tag for path in CHAPTERS for tag in re.findall(r"\\tag\{(\d+\.\d+)\}", prose(path))]
    listed = re.findall(r"^- \[Eq\. \((\d+\.\d+)\)\]", INDEX, re.M)
    assert len(tags) > 100
    assert set(listed) <= set(tags)
    declared = {
        number
        for path in CHAPTERS
        for number in json.loads(path.read_text())["metadata"]
        .get("trust_regions", {})
        .get("equations", {})
    }
    assert set(listed) == declared
    assert INDEX.startswith("# ")
    assert INDEX.splitlines()[2].startswith("> ")


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_chapter_and_its_links_lead_somewhere():
    listed = re.findall(r"\((chapters/[^)]+)\)", README)
    assert listed == [path.relative_to(ROOT).as_posix() for path in CHAPTERS]
    for target in re.findall(r"(?<!!)\[[^\]!]*\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
    assert len(README.splitlines()) < 60  # one screen
