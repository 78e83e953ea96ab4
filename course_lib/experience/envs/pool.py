"""EnvPool's C++ environments behind Gymnasium's vector interface; an optional speed-up."""

import contextlib
import importlib.util
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...kinds import require_known
from ..contract import own

#: Environments whose EnvPool version was compared with Gymnasium's and found to agree.
POOLED = ("LunarLanderContinuous-v3", "LunarLander-v3")


def envpool_has(env_id: str) -> bool:
    """Whether EnvPool is installed (the extra ``[fast]``) and has an environment of `POOLED`."""
    return env_id in POOLED and importlib.util.find_spec("envpool") is not None


class EnvPoolVectorEnv(gym.vector.VectorEnv):
    """N copies of an EnvPool environment, with ``NEXT_STEP`` autoreset, on one thread.

    EnvPool takes its seed when a pool is made, so every seeded reset makes a new one. Its
    environments cannot be saved. Their trajectories agree with Gymnasium's in distribution only.

    Parameters
    ----------
    env_id : str
    num_envs : int, at least 1
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}

    def __init__(self, env_id: str, num_envs: int) -> None:
        self.env_id, self.num_envs = env_id, num_envs
        with contextlib.closing(gym.make(env_id)) as env:  # EnvPool's own bounds are makeshift
            self.single_observation_space = own(env.observation_space)
            self.single_action_space = own(env.action_space)
        self._pool = self._make(0)
        self.observation_space = own(batch_space(self.single_observation_space, num_envs))
        self.action_space = own(batch_space(self.single_action_space, num_envs))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Start new episodes in every copy. There are no options: a ValueError if some are given."""
        require_known(options or {}, (), f"{self.env_id}.reset")
        if seed is not None:
            self._pool.close()
            self._pool = self._make(int(seed) % 2**31)  # a C int
        observations, _ = self._pool.reset()
        return observations, {}

    def step(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Advance every copy; one whose episode has just ended resets instead."""
        observations, rewards, terminated, truncated, _ = self._pool.step(actions)
        return observations, rewards, terminated, truncated, {}

    def close_extras(self, **kwargs: Any) -> None:
        """Close the pool."""
        self._pool.close()

    def _make(self, seed: int) -> Any:
        import envpool

        return envpool.make(
            self.env_id,
            env_type="gymnasium",
            num_envs=self.num_envs,
            num_threads=1,
            seed=seed,
        )
