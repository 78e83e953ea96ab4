"""Vector environments that can be saved although Gymnasium's environments cannot.

A physics engine keeps its state where Python does not reach. What can be kept is how the state came
about: the random generator as it was at the running episode's reset, and the actions since.
"""

import copy
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray

from ..contract import CheckedEnv, own
from .making import EnvLike, make_env, name_of

#: Steps of one episode beyond which its actions are no longer kept.
LONGEST_RECORDING = 100_000


class EpisodeRecorder(CheckedEnv):
    """Remembers how the running episode started, and every action since, up to `LONGEST_RECORDING`.

    A digest of everything that the episode showed, observations, rewards and ends, tells a replay
    that differs from one that does not.
    """

    def __init__(self, env: gym.Env, index: int | None = None) -> None:
        super().__init__(env, index)
        self.start: dict[str, Any] = {}
        self.steps = self.digest = 0
        self._actions = bytearray()  # a hundred times smaller than a list of arrays

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Reset, after noting the seed or the random generator's state."""
        rng = None if seed is not None else self._rng_state()
        self.start, self.steps, self._actions = {"seed": seed, "rng": rng}, 0, bytearray()
        observation, info = super().reset(seed=seed, options=options)
        self.digest = zlib.crc32(np.asarray(observation).tobytes())
        return observation, info

    def step(self, action: Any):
        """Step, after noting the action."""
        self.steps += 1
        if self.steps <= LONGEST_RECORDING:
            self._actions += np.asarray(action, dtype=self.action_space.dtype).tobytes()
        elif self._actions:
            self._actions = bytearray()
        observation, reward, terminated, truncated, info = super().step(action)
        shown = np.asarray(observation).tobytes() + struct.pack(
            "<d??", reward, terminated, truncated
        )
        self.digest = zlib.crc32(shown, self.digest)
        return observation, reward, terminated, truncated, info

    @property
    def actions(self) -> NDArray:
        """The actions of the running episode, shape (steps, ...); none if it is too long."""
        kept = np.frombuffer(bytes(self._actions), dtype=self.action_space.dtype)
        return kept.reshape(-1, *self.action_space.shape).copy()

    def get_state(self) -> dict[str, Any]:
        """The recording, from which `set_state` replays."""
        return {
            "start": copy.deepcopy(self.start),
            "actions": self.actions,
            "steps": self.steps,
            "digest": self.digest,
        }

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Replay a recording; gives the last observation.

        Raises
        ------
        RuntimeError
            If the episode was too long to be recorded, or the replay differs from it.
        """
        steps = saved.get("steps", len(saved["actions"]))
        if steps > len(saved["actions"]):
            raise RuntimeError(
                f"{self.name} was {steps:,} steps into an episode when it was saved, and recordings end "
                f"after {LONGEST_RECORDING:,}: it cannot be replayed. A time limit "
                "(gymnasium.wrappers.TimeLimit, or max_episode_steps) keeps episodes shorter"
            )
        if saved["start"]["seed"] is None:
            self.unwrapped.np_random.bit_generator.state = copy.deepcopy(saved["start"]["rng"])
        observation, _ = self.reset(seed=saved["start"]["seed"])
        for action in saved["actions"]:
            observation, *_ = self.step(action)
        if self.digest != saved.get("digest", self.digest):
            raise RuntimeError(
                f"{self.name} did not repeat its running episode: it keeps a state beyond its random "
                "generator (one of its own, a counter, a wrapper's statistics), or another version of "
                "it is installed"
            )
        return observation

    def _rng_state(self) -> dict[str, Any]:
        return copy.deepcopy(self.unwrapped.np_random.bit_generator.state)


class ReplayableVectorEnv(SyncVectorEnv):
    """Gymnasium's ``SyncVectorEnv`` with `get_state` and `set_state`, by replay.

    Exact for environments whose episodes depend on nothing but their own random generator and the
    actions. `set_state` notices where that is not so.

    Parameters
    ----------
    env : str, EnvSpec or callable
        See `make_envs`.
    num_envs : int
    env_kwargs : mapping, optional
    **settings
        Passed on to ``SyncVectorEnv``.

    Raises
    ------
    ValueError
        If env is a function that makes the same environment twice.
    """

    def __init__(
        self,
        env: EnvLike,
        num_envs: int,
        env_kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.name = name_of(env)
        made: list[gym.Env] = []

        def make() -> gym.Env:
            made.append(make_env(env, env_kwargs))
            if len({id(one.unwrapped) for one in made}) < len(made):
                raise ValueError(
                    f"{name_of(env)} made the same environment twice: copies need one each, so the "
                    "function has to construct the environment, not to return one that exists"
                )
            return EpisodeRecorder(made[-1], len(made) - 1)

        try:
            super().__init__([make] * num_envs, **settings)
        except BaseException:
            for one in made:
                one.close()
            raise
        # SyncVectorEnv copies the first copy's random generators with its spaces.
        self.single_action_space, self.action_space = (
            own(self.single_action_space),
            own(self.action_space),
        )

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
            If a replayed episode differs from the recorded one, or was too long to be recorded.
        """
        for i, env in enumerate(self.envs):
            env.set_state(saved["copies"][str(i)])
        self._autoreset_envs = saved["resetting"].copy()
        self._observations = np.array(saved["observations"])
        return self._observations.copy()
