"""Chapter 8: the line search and the whole step."""

from .backtracking_line_search import SPEC as BACKTRACKING_LINE_SEARCH
from .step_curvature import SPEC as STEP_CURVATURE
from .trpo_step import SPEC as TRPO_STEP

TASKS = (BACKTRACKING_LINE_SEARCH, TRPO_STEP, STEP_CURVATURE)
