"""A running episode as a recording, from which it can be replayed and compared.

A physics engine keeps its state where Python does not reach. What can be kept is how the state came
about: the random generator as it was at the running episode's reset, and the actions since. Whether
a replay arrives at the same state is a question of its own: it is compared with a digest of all
that the environment returned, and with what Python can see of its state.
"""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..contract import CheckedEnv
from .visible_state import visible_state

#: Steps of one episode that are recorded. An episode without an end must not fill the memory, and a
#: longer one would take minutes to replay.
MAX_STEPS = 100_000


class ReplayError(RuntimeError):
    """An environment's running episode cannot be repeated."""


class EpisodeRecorder(CheckedEnv):
    """Remembers how the running episode started, every action since, and a digest of the answers.

    Parameters
    ----------
    env : gymnasium.Env
    index : int, optional
        Which of several copies this is, for the errors.
    max_steps : int, optional
        An episode that lasts longer is no longer recorded, and `get_state` says so.
    """

    def __init__(
        self, env: gym.Env, index: int | None = None, max_steps: int | None = None
    ) -> None:
        super().__init__(env, index)
        self.max_steps = MAX_STEPS if max_steps is None else max_steps
        self._begin({"seed": None, "rng": None}, "it was never reset")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, after noting the seed or the random generator's state."""
        rng = None if seed is not None else self._rng_state()
        self._begin({"seed": seed, "rng": rng}, "it was reset with options" if options else None)
        observation, info = super().reset(seed=seed, options=options)
        self._take_in(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, after noting the action."""
        self._note(action)
        observation, reward, terminated, truncated, info = super().step(action)
        self._take_in(observation, reward, terminated, truncated)
        return observation, reward, terminated, truncated, info

    @property
    def actions(self) -> NDArray:
        """The actions of the running episode, shape (steps, ...), as a copy; none if not recorded."""
        return self._buffer[: self.steps].copy()

    def get_state(self) -> dict[str, Any]:
        """The recording, from which `set_state` replays, and what it has to be compared with."""
        return {
            "start": copy.deepcopy(self.start),
            "actions": self.actions,
            "obstacle": self.obstacle,
            "answers": self.answers.hexdigest(),
            "visible": visible_state(self.env),
        }

    def set_state(self, saved: dict[str, Any]) -> None:
        """Replay a recording.

        Raises
        ------
        ReplayError
            If the episode was not recorded, or does not repeat.
        """
        if saved["obstacle"] is not None:
            raise ReplayError(f"its running episode was not recorded: {saved['obstacle']}")
        start = saved["start"]
        if start["seed"] is None:
            self.unwrapped.np_random.bit_generator.state = copy.deepcopy(start["rng"])
        self.reset(seed=start["seed"])
        for action in saved["actions"]:
            self.step(action)
        if self.answers.hexdigest() != saved["answers"]:
            raise ReplayError(
                "it did not repeat its running episode: the same seed and the same actions gave "
                "other observations, rewards or ends"
            )
        visible = visible_state(self.env)
        names = dict.fromkeys([*saved["visible"], *visible])
        differing = [n for n in names if visible.get(n) != saved["visible"].get(n)]
        if differing:
            raise ReplayError(
                f"it did not repeat its running episode: {', '.join(differing[:4])} "
                f"{'is' if len(differing) == 1 else 'are'} not what the episode's seed and actions "
                "make of it"
            )

    def _begin(self, start: dict[str, Any], obstacle: str | None) -> None:
        self.start, self.obstacle, self.steps = start, obstacle, 0
        self._buffer: NDArray = np.empty(
            (0, *(self.action_space.shape or ())), dtype=self.action_space.dtype
        )
        self.answers = hashlib.blake2b(digest_size=16)

    def _note(self, action: Any) -> None:
        if self.obstacle is not None:
            return
        if self.steps == self.max_steps:
            self._begin(
                self.start,
                f"it has lasted more than {self.max_steps:,} steps; a time limit "
                "(gymnasium.wrappers.TimeLimit, or max_episode_steps) keeps episodes shorter",
            )
            return
        action = np.asarray(action)
        if self.steps == len(self._buffer):  # full: twice as much room
            grown = np.empty((max(64, 2 * self.steps), *action.shape), dtype=action.dtype)
            grown[: self.steps] = self._buffer[: self.steps]
            self._buffer = grown
        self._buffer[self.steps] = action
        self.steps += 1

    def _take_in(self, *answers: Any) -> None:
        for x in map(np.asarray, answers):
            self.answers.update(repr(x).encode() if x.dtype == object else x.tobytes())

    def _rng_state(self) -> Mapping[str, Any]:
        return copy.deepcopy(self.unwrapped.np_random.bit_generator.state)
