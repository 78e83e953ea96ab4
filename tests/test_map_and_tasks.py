"""The map of the book agrees with its chapters, and the page of tasks with the judge."""

import re
from pathlib import Path

import pytest

from book import map as book_map
from book import tasks
from book.prose import prose
from course_lib.grading.specs import TASKS

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = book_map.written(ROOT)


def test_every_chapter_is_on_the_map_and_no_other():
    assert CHAPTERS.keys() == book_map.NEEDS.keys()
    page = book_map.page(ROOT)
    for number, (name, title) in CHAPTERS.items():
        assert f'href="../chapters/{name}.html"' in page
        assert f"[{number}. {title}](../chapters/{name}.ipynb)" in page


@pytest.mark.parametrize("number", CHAPTERS)
def test_what_a_chapter_says_it_needs_is_on_the_map(number):
    text = prose(ROOT / f"chapters/{CHAPTERS[number][0]}.ipynb")
    sentence = re.search(r"\*\*You need\*\*(.*?)(?:\. |\n|$)", text)[1]
    assert book_map.named(sentence) <= book_map.everything_below(number)


def test_chapters_are_named_in_all_the_ways_in_which_the_text_does():
    said = (
        "chapter 1, from [chapter 2](02_x.ipynb), chapters 6 to 8, chapter 3's, chapters 10 and 11"
    )
    assert book_map.named(said) == {1, 2, 6, 7, 8, 3, 10, 11}


def test_nothing_needs_a_later_chapter():
    assert all(needed < chapter for chapter, all_ in book_map.NEEDS.items() for needed in all_)


def test_the_lines_that_are_drawn_say_the_same_as_all_that_is_declared():
    def reached(chapter):
        lines = book_map.drawn(chapter)
        return set(lines).union(*map(reached, lines))

    for chapter in book_map.NEEDS:
        assert reached(chapter) == book_map.everything_below(chapter)
    assert book_map.drawn(8) == [7]


def test_every_task_is_on_the_page_once_with_what_it_asks():
    page = tasks.page(ROOT)
    for spec in TASKS:
        rows = re.findall(rf"^\| `{spec.name}` \| (.+)$", page, re.M)
        assert len(rows) == 1, spec.name
        what, hard, time = re.split(r"(?<!\\)\|", rows[0])[:3]
        assert len(what.split()) > 3, spec.name
        if tasks.exercise_file(ROOT, spec.exercise).suffix == ".ipynb":
            assert hard.strip(), spec.name
            assert re.search(r"minute|hour", time), spec.name


def test_every_task_with_equations_names_them():
    page = tasks.page(ROOT)
    for task, equations in tasks.practised(ROOT).items():
        assert all(text.replace("|", r"\|") in page for text in equations), task


def test_tables_of_effort_are_read_whatever_their_columns():
    text = "| task | how hard | lines | time |\n|---|---|---|---|\n| 2. `gae` | easy | 3 | 5 minutes |\n"
    assert tasks.efforts([("markdown", text)]) == {"gae": ("easy", "5 minutes")}
    assert tasks.efforts([("markdown", "| a | b |\n|---|---|\n| `gae` | 1 |\n")]) == {}
