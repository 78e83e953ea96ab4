"""Vector environments that can be saved although Gymnasium's environments cannot.

A physics engine keeps its state where Python does not reach. What can be kept is how the state came
about: the random generator as it was at the running episode's reset, and the actions since.
"""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray


class EpisodeRecorder(gym.Wrapper):
    """Remembers how the running episode started, and every action since."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.start: dict[str, Any] = {}
        self.actions: list[NDArray] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Reset, after noting the seed or the random generator's state."""
        rng = None if seed is not None else self._rng_state()
        self.start, self.actions = {"seed": seed, "rng": rng}, []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: NDArray):
        """Step, after noting the action."""
        self.actions.append(np.array(action))
        return self.env.step(action)

    def get_state(self) -> dict[str, Any]:
        """The recording, from which `set_state` replays."""
        actions = np.array(self.actions, dtype=self.action_space.dtype)
        return {"start": copy.deepcopy(self.start), "actions": actions}

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Replay a recording; gives the last observation."""
        if saved["start"]["seed"] is None:
            self.unwrapped.np_random.bit_generator.state = copy.deepcopy(saved["start"]["rng"])
        observation, _ = self.reset(seed=saved["start"]["seed"])
        for action in saved["actions"]:
            observation, *_ = self.step(action)
        return observation

    def _rng_state(self) -> dict[str, Any]:
        return copy.deepcopy(self.unwrapped.np_random.bit_generator.state)


class ReplayableVectorEnv(SyncVectorEnv):
    """Gymnasium's ``SyncVectorEnv`` with `get_state` and `set_state`, by replay.

    Exact for environments whose episodes depend on nothing but their own random generator and the
    actions. `set_state` notices where that is not so.

    Parameters
    ----------
    env_id : str
    num_envs : int
    **settings
        Passed on to ``SyncVectorEnv``.
    """

    def __init__(self, env_id: str, num_envs: int, **settings: Any) -> None:
        def make() -> gym.Env:
            return EpisodeRecorder(gym.make(env_id, disable_env_checker=True))

        super().__init__([make] * num_envs, **settings)

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the future of the environments."""
        return {
            "copies": {str(i): env.get_state() for i, env in enumerate(self.envs)},
            "resetting": self._autoreset_envs.copy(),
            "observations": np.array(self._observations),
        }

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Go back to what `get_state` returned; gives the observations (N, O).

        Raises
        ------
        RuntimeError
            If a replayed episode does not end where the recorded one was.
        """
        for i, env in enumerate(self.envs):
            observation = env.set_state(saved["copies"][str(i)])
            if not np.array_equal(observation, saved["observations"][i]):
                raise RuntimeError(
                    f"copy {i} of the environment did not repeat its running episode: it keeps a "
                    "state beyond its random generator, or another version of it is installed"
                )
        self._autoreset_envs = saved["resetting"].copy()
        self._observations = np.array(saved["observations"])
        return self._observations.copy()
