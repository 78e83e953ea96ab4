"""What the name of a submitted file says: a student and an exercise.

Downloads from Moodle and Canvas have names of their own, and so have copies made by Jupyter, Colab
and browsers.
"""

import os
import re
import unicodedata
from collections.abc import Sequence

from .names import printable

NOTEBOOKS = (".ipynb", ".ipynb.json", ".ipynb.txt", ".py")  # browsers add .json and .txt
MOODLE = re.compile(r"(?P<name>.*_\d+)_assignsubmission_[a-z]+_?")
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<user>\d+)_\d+", re.IGNORECASE)
COPIED = r"(?:[ _]?-[ _]?Copy\d*|[ _]?\(\d+\)|-\d+)*"


def name_pattern(exercises: Sequence[str]) -> re.Pattern:
    """Return what finds an exercise in a file's name, however it was copied."""
    stems = sorted(exercises, key=len, reverse=True)
    names = "|".join(
        "(?P<{}>{})".format(f"e_{stem}", r"[ _-]".join(map(re.escape, stem.split("_"))))
        for stem in stems
    )
    return re.compile(
        rf"(?P<who>.*?)(?:Copy[ _]of[ _])*(?:{names}){COPIED}(?P<rest>.*)", re.I | re.S
    )


def read_name(name: str, pattern: re.Pattern) -> tuple[str, str]:
    """Return the student's name and the exercise's stem that a file's name holds.

    Where it names no exercise, the whole stem is the student's and the exercise is empty.
    """
    suffix = next((end for end in NOTEBOOKS[1:] if name.lower().endswith(end)), "")
    stem = name[: -len(suffix)] if suffix else os.path.splitext(name)[0]
    match = pattern.fullmatch(stem)
    if match is None:
        return re.sub(rf"{COPIED}\Z", "", stem, flags=re.IGNORECASE), ""
    (exercise,) = [key[2:] for key, value in match.groupdict().items() if key[:2] == "e_" and value]
    who = match["who"].strip(" _-") or match["rest"].strip(" _-")
    return who, exercise


def student_of(text: str) -> str:
    """Return a student's printable name without what Moodle or Canvas add to it.

    One name has one form: macOS takes letters and their accents apart.
    """
    text = unicodedata.normalize("NFC", text)
    moodle, canvas = MOODLE.fullmatch(text), CANVAS.fullmatch(text)
    if moodle:
        text = moodle["name"]
    elif canvas:
        text = f"{canvas['name']}_{canvas['user']}"
    return printable(text)
