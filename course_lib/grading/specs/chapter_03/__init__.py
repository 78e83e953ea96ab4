"""Chapter 3: the surrogate objective."""

from .performance_difference import SPEC as PERFORMANCE_DIFFERENCE
from .surrogate import SPEC as SURROGATE
from .visitation_distribution import SPEC as VISITATION_DISTRIBUTION

TASKS = (VISITATION_DISTRIBUTION, PERFORMANCE_DIFFERENCE, SURROGATE)
