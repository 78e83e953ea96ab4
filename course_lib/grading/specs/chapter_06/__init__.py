"""Chapter 6: Fisher-vector products."""

from .fisher_vector_product import SPEC as FISHER_VECTOR_PRODUCT
from .gauss_newton_product import SPEC as GAUSS_NEWTON_PRODUCT

TASKS = (FISHER_VECTOR_PRODUCT, GAUSS_NEWTON_PRODUCT)
