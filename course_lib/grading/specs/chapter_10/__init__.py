"""Chapter 10: the PPO objectives."""

from .adapt_beta import SPEC as ADAPT_BETA
from .approx_kl import SPEC as APPROX_KL
from .early_stopping import SPEC as EARLY_STOPPING
from .ppo_clip_loss import SPEC as PPO_CLIP_LOSS

TASKS = (PPO_CLIP_LOSS, ADAPT_BETA, APPROX_KL, EARLY_STOPPING)
