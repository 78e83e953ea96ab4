"""Vector environments that can be saved although Gymnasium's environments cannot: by replay.

See `recorder` for what is kept of a running episode and how a replay is compared with it.
"""

import contextlib
import copy
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray

from ..contract import own
from .making import EnvLike, make_env, name_of
from .recorder import EpisodeRecorder, ReplayError

#: A rehearsal: episodes cut short so that there are many, the steps of one, those that are compared
#: after the replay, and the seconds after which a slow environment is let off.
EPISODES, EPISODE_STEPS, STEPS_AFTER, MAX_SECONDS = 10, 50, 300, 10.0


class ReplayableVectorEnv(SyncVectorEnv):
    """Gymnasium's ``SyncVectorEnv`` with `get_state` and `set_state`, by replay.

    Exact for environments whose episodes depend on nothing but their own random generator and the
    actions. `set_state` notices where that is not so, and `rehearse` often can tell in advance.

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
        self._env, self._env_kwargs = env, env_kwargs
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
        self._recorders = cast("list[EpisodeRecorder]", self.envs)  # that is what make returned
        # SyncVectorEnv copies the first copy's random generators with its spaces.
        self.single_action_space, self.action_space = (
            own(self.single_action_space),
            own(self.action_space),
        )

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the future of the environments."""
        return {
            "copies": {str(i): env.get_state() for i, env in enumerate(self._recorders)},
            "resetting": self._autoreset_envs.copy(),
            "observations": np.array(self._observations),
        }

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Go back to what `get_state` returned; gives the observations (N, O).

        Raises
        ------
        ReplayError
            If a running episode does not repeat, or was not recorded.
        """
        for i, env in enumerate(self._recorders):
            try:
                env.set_state(saved["copies"][str(i)])
            except ReplayError as error:
                raise ReplayError(f"copy {i} of the environment cannot go on: {error}") from error
            except Exception as error:
                raise ReplayError(
                    f"copy {i} of the environment cannot go on: it raised {type(error).__name__} "
                    f"while its running episode was replayed: {error}"
                ) from error
        self._autoreset_envs = saved["resetting"].copy()
        self._observations = np.array(saved["observations"])
        return self._observations.copy()

    def rehearse(self) -> str | None:
        """Try a replay with two fresh copies and random actions; the copies here are left alone.

        Returns
        -------
        str or None
            What does not repeat, in words. None if nothing was found, which proves nothing.

        Raises
        ------
        Exception
            Whatever the environment raises.
        """
        with (
            _global_generators_kept(),
            contextlib.closing(EpisodeRecorder(make_env(self._env, self._env_kwargs))) as first,
            contextlib.closing(EpisodeRecorder(make_env(self._env, self._env_kwargs))) as second,
        ):
            return _rehearse(first, second)


def _rehearse(first: EpisodeRecorder, second: EpisodeRecorder) -> str | None:
    deadline = time.perf_counter() + MAX_SECONDS
    space = copy.deepcopy(first.action_space)
    space.seed(0)
    first.reset(seed=0)
    t = 0
    # Episodes are cut short, and the replay begins in the middle of one.
    for _ in range(EPISODES * EPISODE_STEPS + EPISODE_STEPS // 2):
        *_, terminated, truncated, _ = first.step(space.sample())
        t += 1
        if terminated or truncated or t == EPISODE_STEPS:
            first.reset()
            t = 0
        if time.perf_counter() > deadline:
            return None
    try:
        second.set_state(first.get_state())
    except ReplayError as error:
        return str(error)
    # set_state has put the generator to where the episode began; the replay has moved it on.
    for _ in range(STEPS_AFTER):
        action = space.sample()
        *_, terminated, truncated, _ = first.step(action)
        second.step(action)
        if first.answers.digest() != second.answers.digest():
            return "it repeated a running episode and then went on differently"
        t += 1
        if terminated or truncated or t == EPISODE_STEPS:
            first.reset()
            second.reset()
            t = 0
        if time.perf_counter() > deadline:
            return None
    return None


@contextlib.contextmanager
def _global_generators_kept() -> Iterator[None]:
    """A rehearsal must not change what an environment with Python's own generators does later."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
