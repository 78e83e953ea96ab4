"""Chapter 11: PPO in practice."""

from .ppo_update import SPEC as PPO_UPDATE

TASKS = (PPO_UPDATE,)
