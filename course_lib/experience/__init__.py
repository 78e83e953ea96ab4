"""What an agent lives through: environments, rollouts, running statistics."""

from .envs import make_envs
from .normalization import ObservationNormalizer, RewardScaler, RunningMeanVariance
from .rollout import Collector, EnvironmentFailedError, Rollout

__all__ = [
    "Collector",
    "EnvironmentFailedError",
    "ObservationNormalizer",
    "RewardScaler",
    "Rollout",
    "RunningMeanVariance",
    "make_envs",
]
