"""Chapter 15: trust regions in language models."""

from .grpo_advantages import SPEC as GRPO_ADVANTAGES
from .grpo_loss import SPEC as GRPO_LOSS
from .kl_in_reward import SPEC as KL_IN_REWARD
from .reference_kl import SPEC as REFERENCE_KL
from .rloo_advantages import SPEC as RLOO_ADVANTAGES
from .sequence_log_ratio import SPEC as SEQUENCE_LOG_RATIO
from .std_weight import SPEC as STD_WEIGHT
from .tv_bound import SPEC as TV_BOUND

TASKS = (
    RLOO_ADVANTAGES,
    GRPO_ADVANTAGES,
    SEQUENCE_LOG_RATIO,
    REFERENCE_KL,
    KL_IN_REWARD,
    GRPO_LOSS,
    STD_WEIGHT,
    TV_BOUND,
)
