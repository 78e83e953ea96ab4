"""Makes `pytest exercises/` grade the notebooks of this folder."""

from course_lib.grading.pytest_plugin import (  # noqa: F401
    pytest_collect_file,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
