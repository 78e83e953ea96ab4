"""Chapter 1: policy gradients."""

from .entropy_bonus import SPEC as ENTROPY_BONUS
from .policy_gradient_loss import SPEC as POLICY_GRADIENT_LOSS
from .rewards_to_go import SPEC as REWARDS_TO_GO

TASKS = (REWARDS_TO_GO, POLICY_GRADIENT_LOSS, ENTROPY_BONUS)
