"""Chapter 2: advantage estimation."""

from .discounted_returns import SPEC as DISCOUNTED_RETURNS
from .gae import SPEC as GAE
from .n_step_advantages import SPEC as N_STEP_ADVANTAGES
from .normalize import SPEC as NORMALIZE
from .td_residuals import SPEC as TD_RESIDUALS

TASKS = (TD_RESIDUALS, N_STEP_ADVANTAGES, GAE, DISCOUNTED_RETURNS, NORMALIZE)
