"""Chapter 12: implementation matters."""

from .orthogonal_init import SPEC as ORTHOGONAL_INIT
from .update_moments import SPEC as UPDATE_MOMENTS
from .value_clip_loss import SPEC as VALUE_CLIP_LOSS

TASKS = (VALUE_CLIP_LOSS, UPDATE_MOMENTS, ORTHOGONAL_INIT)
