"""Chapter 9: TRPO in practice."""

from .actions_sent import SPEC as ACTIONS_SENT
from .explained_variance import SPEC as EXPLAINED_VARIANCE
from .finite_action_surrogate import SPEC as FINITE_ACTION_SURROGATE
from .gaussian_log_prob import SPEC as GAUSSIAN_LOG_PROB
from .self_normalised_surrogate import SPEC as SELF_NORMALISED_SURROGATE

TASKS = (
    GAUSSIAN_LOG_PROB,
    EXPLAINED_VARIANCE,
    FINITE_ACTION_SURROGATE,
    SELF_NORMALISED_SURROGATE,
    ACTIONS_SENT,
)
