"""Chapter 5: KL geometry and the natural gradient."""

from .fisher_from_scores import SPEC as FISHER_FROM_SCORES
from .gaussian_kl import SPEC as GAUSSIAN_KL
from .natural_step import SPEC as NATURAL_STEP

TASKS = (GAUSSIAN_KL, FISHER_FROM_SCORES, NATURAL_STEP)
