"""Chapter 8: the line search and the whole step."""

from .backtracking_line_search import SPEC as BACKTRACKING_LINE_SEARCH

TASKS = (BACKTRACKING_LINE_SEARCH,)
