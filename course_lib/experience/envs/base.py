"""The base class of the batched environments: N copies of one task, stepped by one NumPy call.

A subclass supplies the task as three functions of plain arrays (initial states, dynamics,
observation). Episode ends, time limits and resets are handled here, once.
"""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...kinds import Count, checked, require_known
from ..contract import own


class BatchedEnv(gym.vector.VectorEnv):
    """N copies of one environment whose physics is vectorised NumPy.

    Parameters
    ----------
    num_envs : int, at least 1
        Number of copies N.
    max_episode_steps : int, optional
        Time limit in steps; the task's own by default.
    autoreset_mode : AutoresetMode or str
        What happens after an episode ends, in Gymnasium's terms. ``SAME_STEP`` (the default): the
        ending step already returns the next episode's first observation, and the final one is in
        ``infos["final_obs"]``. ``NEXT_STEP``: the ending step returns the final observation, and
        the step after it resets, ignores the action and gives reward 0. ``DISABLED``: the caller
        resets with ``reset(options={"reset_mask": mask})``.

    Raises
    ------
    ValueError
        If num_envs or max_episode_steps is not positive, or the mode is unknown.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
    default_max_episode_steps: int
    #: What `reset` takes in its options beside ``reset_mask``, and hands on to `initial_states`.
    start_options: tuple[str, ...] = ()

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        limit = self.default_max_episode_steps if max_episode_steps is None else max_episode_steps
        self.num_envs = checked("num_envs", num_envs, Count)
        self.max_episode_steps = checked("max_episode_steps", limit, Count)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = own(self.single_observation_space)
        self.single_action_space = own(self.single_action_space)
        self.observation_space = own(batch_space(self.single_observation_space, self.num_envs))
        self.action_space = own(batch_space(self.single_action_space, self.num_envs))
        self.state: NDArray | None = None  # (state_size, N), float64
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        self._start_options: dict[str, Any] = {}  # of the last reset that was called

    def initial_states(self, rng: np.random.Generator, n: int, **options: Any) -> NDArray:
        """Draw n initial states, shape (state_size, n); the options are those of `start_options`."""
        raise NotImplementedError

    def checked_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The given ones of `start_options`, checked; a ValueError if they make no sense."""
        return options

    def dynamics(self, state: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Next states (state_size, N), rewards (N,) and terminations (N,); pure."""
        raise NotImplementedError

    def observe(self, state: NDArray) -> NDArray:
        """Observations (N, observation_size), float32, of states (state_size, N); a new array."""
        raise NotImplementedError

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Start new episodes: in every copy, or where ``options["reset_mask"]`` (N,) is true.

        Other options are those of the task (CartPole: ``low`` and ``high``). As in Gymnasium's own
        vector environments they hold for all episodes until the next call.

        Raises
        ------
        ValueError
            If an option is unknown or out of range.
        """
        options = {} if options is None else dict(options)
        require_known(options, ("reset_mask", *self.start_options), f"{type(self).__name__}.reset")
        mask = self._reset_mask(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if options:  # before anything has changed
            options = self.checked_options(options)
        super().reset(seed=seed)
        self._start_options = options
        self._start_episodes(mask)
        assert self.state is not None  # from here on
        return self.observe(self.state), {}

    def step(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Advance every copy by one step; shapes (N, observation_size), (N,), (N,), (N,), dict."""
        if self.state is None:
            raise RuntimeError("call reset before the first step")
        actions = np.asarray(actions)
        if actions.shape != self.action_space.shape:
            raise ValueError(
                f"actions have shape {actions.shape}, but {self.num_envs} copies need "
                f"{self.action_space.shape}"
            )
        waiting = self._ended
        if self.autoreset_mode is AutoresetMode.DISABLED and waiting.any():
            raise RuntimeError(
                f"episodes of copies {np.flatnonzero(waiting).tolist()} have ended; "
                "reset them with reset(options={'reset_mask': mask})"
            )
        self.state, rewards, terminated = self.dynamics(self.state, actions)
        self._elapsed += 1
        truncated = self._elapsed >= self.max_episode_steps
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and waiting.any():
            self._start_episodes(waiting)
            rewards = np.where(waiting, 0.0, rewards)
            terminated = terminated & ~waiting
            truncated = truncated & ~waiting
        self._ended = terminated | truncated
        observations = self.observe(self.state)
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            infos = {"final_obs": observations, "_final_obs": self._ended}
            self._start_episodes(self._ended)
            observations = self.observe(self.state)
        return observations, rewards, terminated, truncated, infos

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the future of the environment, as a copy."""
        return copy.deepcopy(
            {
                "state": self.state,
                "elapsed": self._elapsed,
                "ended": self._ended,
                "start_options": self._start_options,
                "rng": self.np_random.bit_generator.state,
            }
        )

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Go back to what `get_state` returned; gives the observations (N, observation_size)."""
        saved = copy.deepcopy(saved)
        self.state, self._elapsed, self._ended = saved["state"], saved["elapsed"], saved["ended"]
        self._start_options = saved.get("start_options", {})
        self.np_random.bit_generator.state = saved["rng"]
        return self.observe(self.state)

    def place(self, states: NDArray, elapsed: NDArray | int = 0) -> NDArray:
        """Put every copy into a given state, as chapter 9's vine does; no reset is needed before.

        Parameters
        ----------
        states : ndarray, shape (state_size, N)
            Physical states, such as `state` held when a trajectory passed through them.
        elapsed : ndarray of int, shape (N,), or int
            Steps of the episode already taken, which count towards the time limit.

        Returns
        -------
        ndarray, shape (N, observation_size)

        Raises
        ------
        ValueError
            If the states have another shape or are not finite, elapsed is not whole, or no step is
            left.
        """
        states, elapsed = np.array(states, dtype=np.float64), np.asarray(elapsed)
        one = self.initial_states(np.random.default_rng(0), 1, **self._start_options)
        wanted = (len(one), self.num_envs)
        if states.shape != wanted or not np.isfinite(states).all():
            raise ValueError(f"needed: finite states of shape {wanted}, not {states.shape}")
        whole = elapsed.dtype.kind in "iu"
        if not whole or (elapsed < 0).any() or (elapsed >= self.max_episode_steps).any():
            raise ValueError(
                f"elapsed must be integers in [0, {self.max_episode_steps}), not {elapsed!r}"
            )
        self.state = states
        self._elapsed = np.broadcast_to(elapsed, (self.num_envs,)).astype(np.int64)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        return self.observe(self.state)

    @property
    def elapsed(self) -> NDArray:
        """Steps of the running episodes taken so far, shape (N,); a copy."""
        return self._elapsed.copy()

    def _reset_mask(self, mask: NDArray) -> NDArray:
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(
                f"reset_mask must be a boolean array of shape ({self.num_envs},) with at least "
                f"one True, not {mask.dtype} of shape {mask.shape}"
            )
        if self.state is None and not mask.all():
            raise ValueError("the first reset must reset every copy")
        return mask

    def _start_episodes(self, mask: NDArray) -> None:
        n = int(mask.sum())
        fresh = self.initial_states(self.np_random, n, **self._start_options)
        if self.state is None:
            self.state = fresh
        else:
            self.state = self.state.copy()
            self.state[:, mask] = fresh
        self._elapsed[mask] = 0
        self._ended = self._ended & ~mask


def require_zeros_and_ones(task: str, actions: NDArray) -> None:
    """Raise a ValueError unless every action is 0 or 1."""
    if not ((actions == 0) | (actions == 1)).all():
        raise ValueError(f"{task}'s actions are 0 and 1, not {np.unique(actions).tolist()}")
