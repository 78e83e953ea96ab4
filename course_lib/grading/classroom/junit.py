"""JUnit XML of a class, with the state of each task in its properties, as pytest writes it."""

import xml.etree.ElementTree as ElementTree

from ..states import State, Verdict
from .names import plain_text
from .result import ClassResult, Graded


def as_junit(result: ClassResult) -> str:
    """Return a test suite per student, with a test case per task."""
    root = ElementTree.Element("testsuites", name="course_lib.grading")
    for student in result.students:
        own = [graded for graded in result.graded if graded.student == student]
        suite = ElementTree.SubElement(root, "testsuite", name=student)
        for graded in own:
            for verdict in graded.verdicts:
                add_case(suite, graded, verdict)
        for attribute, tag in (("failures", "failure"), ("skipped", "skipped")):
            suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite)))
        suite.set("errors", "0")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def add_case(suite: ElementTree.Element, graded: Graded, verdict: Verdict) -> None:
    """Add one task: skipped if it is not attempted, a failure unless it is right."""
    case = ElementTree.SubElement(
        suite, "testcase", classname=graded.exercise, name=verdict.task, time="0"
    )
    properties = ElementTree.SubElement(case, "properties")
    values = {"notebook": graded.file, "task": verdict.task, "state": verdict.state.value}
    if verdict.mistakes:
        values["mistakes"] = ", ".join(verdict.mistakes)
    for name, value in values.items():
        ElementTree.SubElement(properties, "property", name=name, value=plain_text(value))
    if verdict.state is State.NOT_ATTEMPTED:
        ElementTree.SubElement(case, "skipped", message="not attempted")
    elif verdict.state is not State.RIGHT:
        message = plain_text(verdict.headline or verdict.state.value)
        failure = ElementTree.SubElement(case, "failure", message=message)
        failure.text = plain_text(verdict.as_text())
