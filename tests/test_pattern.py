"""Every chapter keeps the rules of CONTRIBUTING.md, and every rule can be seen to fail."""

import copy
import json
from pathlib import Path

import pytest

from tests.pattern import faults

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
# Written before these rules; held to them when the chapters on practice are.
EARLIER: set[str] = set()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_keeps_the_rules(path):
    found = faults(json.loads(path.read_text(encoding="utf-8")))
    if path.stem in EARLIER:
        assert found, f"{path.stem} keeps the rules now: take it off the list"
    else:
        assert found == []


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source, *tags, **metadata):
    return {"cell_type": "code", "metadata": {"tags": list(tags), **metadata}, "source": source}


GOOD = {
    "metadata": {"trust_regions": {"given": ["0.98"]}},
    "cells": [
        markdown("# Chapter 3: A title\n\n" + "A puzzle that catches. " * 20),
        markdown(
            "**You will be able to** do it.\n\n**You need** chapter 2.\n\n"
            "**Time:** about 1 minutes to read, 20 seconds to run on two CPU cores."
        ),
        code("import numpy as np", "hide-input", mystnb={"code_prompt_show": "Set-up"}),
        markdown(
            "## A result\n\n> **Theorem 3.1.** It holds.\n>\n> Assumes: on-policy.\n\n"
            "$$ a = b \\tag{3.1} $$\n\n$$ b = c \\tag{3.2} $$\n\nWith $\\gamma = 0.98$ it is 17.8.\n\n"
            "> **Predict.** How large?"
        ),
        code("print(x)"),
        code('found = x\nclaim("17.8", found)', "remove-cell"),
        markdown("<details>\n<summary>Our answer</summary>\n\nLarge.\n\n</details>"),
        code('playable(draw, {"a": (1, 2)}, alt="text")'),
        markdown("### Break it: one change"),
        markdown(
            "## Summary\n\n1. One.\n2. Two.\n3. Three.\n4. Four.\n5. Five.\n\n## Quick questions\n\n"
            "**1.** Why?\n\n<details>\n<summary>Answer</summary>\n\nSo.\n\n</details>\n\n"
            "**2.** How?\n\n<details>\n<summary>Answer</summary>\n\nThus.\n\n</details>\n\n"
            "## Now write it yourself\n\n[Exercise 03](../exercises/03_surrogate.ipynb)\n\n"
            "## Further reading\n\n- [arXiv:1502.05477](https://arxiv.org/abs/1502.05477)"
        ),
    ],
}


def test_a_good_chapter_has_no_faults():
    assert faults(GOOD) == []


BREAKS = {
    "title": ("# Chapter 3: A", "# A", "does not start with"),
    "hook": ("A puzzle that catches. " * 20, "", "nothing catches the reader"),
    "need": ("**You need**", "**Needed**", r"**You need** must stand"),
    "time": ("about 1 minutes", "about 9 minutes", "9 minutes to read are promised"),
    "no time": ("seconds to run", "seconds", "**Time:** does not say"),
    "no prediction": ("> **Predict.**", "> ", "no prediction is asked for"),
    "answered at once": (
        "**Predict.** How large?",
        "**Predict.** How large?\n\n<details>\n<summary>Our answer</summary>\n\n5\n\n</details>",
        "answered before anything ran",
    ),
    "break it": ("### Break it", "### Mend it", "no section 'Break it'"),
    "summary": ("5. Five.\n", "", "five numbered lines"),
    "one question": ("**2.** How?", "How?", "1 quick questions with 2 folded answers"),
    "exercise": ("../exercises/03_surrogate.ipynb", "elsewhere", "no link to the exercise"),
    "papers": ("https://arxiv.org/abs/1502.05477", "x", "no link to arXiv"),
    "not playable": ("playable(draw", "show(draw", "no playable figure"),
    "alt": (', alt="text"', "", "playable(...) without alt"),
    "plt": ("print(x)", "plt.show()", "no text equivalent"),
    "long cell": ("print(x)", "print(x)\n" * 16, "a visible cell has 16 lines"),
    "fold": ("code_prompt_show", "prompt", "a fold without a label"),
    "assumes": ("> Assumes: on-policy.", "> And so on.", "without 'Assumes:'"),
    "order": ("\\tag{3.2}", "\\tag{3.4}", "not 1, 2, 3"),
    "twice": ("\\tag{3.2}", "\\tag{3.1}", "not 1, 2, 3"),
    "other chapter": ("\\tag{3.1}", "\\tag{4.1}", "not 1, 2, 3"),
    "no equation": ("\\tag{3.", "\\text{3.", "no numbered equation"),
    "number": ("it is 17.8", "it is 17.8 or 9.9", "the number 9.9 is neither"),
    "share": ("it is 17.8", "it is 17.8, 32 % more", "the number 32% is neither"),
    "claim": ('claim("17.8"', 'claim("17.9"', "claims '17.9', which the text does not say"),
    "given": ('"0.98"', '"0.97"', "the number 0.98 is neither"),
    "hidden name": ("print(x)", "print(found)", "uses 'found', which only a removed cell defines"),
    "word": ("It holds.", "It holds, obviously.", "the text says 'obviously'"),
    "cry": ("It holds.", "It holds!", "the text exclaims"),
    "role": ("It holds.", "It holds {ref}`there`.", "MyST syntax"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_rule_that_is_broken_is_named(name):
    old, new, message = BREAKS[name]
    text = json.dumps(GOOD)
    quoted = [json.dumps(part)[1:-1] if name != "given" else part for part in (old, new)]
    assert quoted[0] in text
    broken = json.loads(text.replace(*quoted))
    assert broken != GOOD
    assert any(message in fault for fault in faults(copy.deepcopy(broken))), faults(broken)
