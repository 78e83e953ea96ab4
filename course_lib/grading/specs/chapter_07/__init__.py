"""Chapter 7: conjugate gradients."""

from .conjugate_gradient import SPEC as CONJUGATE_GRADIENT

TASKS = (CONJUGATE_GRADIENT,)
