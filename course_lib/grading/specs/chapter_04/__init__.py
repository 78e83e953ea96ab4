"""Chapter 4: monotonic improvement."""

from .categorical_kl import SPEC as CATEGORICAL_KL
from .cpi_mixture import SPEC as CPI_MIXTURE
from .improvement_bound import SPEC as IMPROVEMENT_BOUND
from .mm_step import SPEC as MM_STEP
from .total_variation import SPEC as TOTAL_VARIATION

TASKS = (TOTAL_VARIATION, CATEGORICAL_KL, IMPROVEMENT_BOUND, CPI_MIXTURE, MM_STEP)
