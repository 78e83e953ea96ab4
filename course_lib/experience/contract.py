"""What an environment must return, checked in the same words at its first reset and at every step."""

import copy
import numbers
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray

RESET = "Gymnasium's is reset(self, *, seed=None, options=None) -> (observation, info)"
STEP = "Gymnasium's step returns (observation, reward, terminated, truncated, info)"

S = TypeVar("S", bound=gym.Space)


class EnvironmentFailedError(RuntimeError):
    """An environment raised an error of its own while it was made, reset or stepped."""


class MalformedEnvironmentError(ValueError):
    """An environment returned what Gymnasium's interface, or its own spaces, do not allow."""


class CheckedEnv(gym.Wrapper):
    """An environment that is held to the contract, and that owns its spaces and what it returns.

    Observations are copied, for some environments draw every one into the same array, and have the
    type that their space names. Spaces are the instance's own: those that hang on a class share one
    random generator.

    Parameters
    ----------
    env : gymnasium.Env
    index : int, optional
        Which of several copies this is, for the errors.
    """

    def __init__(self, env: gym.Env, index: int | None = None) -> None:
        super().__init__(env)
        spec = env.unwrapped.spec
        name = type(env.unwrapped).__name__ if spec is None else spec.id
        self.name = name if index is None else f"{name} (copy {index})"
        self.observation_space = own(env.observation_space)
        self.action_space = own(env.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and check what comes back.

        Raises
        ------
        MalformedEnvironmentError
            If the signature, the result, or the environment's random generator is of another kind.
        """
        try:
            result = self.env.reset(seed=seed, options=options)
        except TypeError as error:
            if "unexpected keyword argument 'seed'" in str(error) or (
                "unexpected keyword argument 'options'" in str(error)
            ):
                raise MalformedEnvironmentError(
                    f"{self.name}: reset cannot be called as Gymnasium does ({error}); {RESET}"
                ) from error
            raise
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            raise MalformedEnvironmentError(
                f"{self.name}: reset returned {_kind(result)}; {RESET}, with a dict as info"
            )
        generator = getattr(self.unwrapped, "_np_random", None)
        if generator is not None and not isinstance(generator, np.random.Generator):
            raise MalformedEnvironmentError(
                f"{self.name}: np_random is a {type(generator).__name__}, and must be a numpy "
                "Generator, or a run cannot be repeated: call super().reset(seed=seed) in reset, and "
                "draw from the self.np_random that it sets"
            )
        return self._observation(result[0], "reset"), result[1]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and check what comes back.

        Raises
        ------
        MalformedEnvironmentError
            If the result is of another kind.
        """
        result = self.env.step(action)
        if not isinstance(result, tuple) or len(result) != 5 or not isinstance(result[4], dict):
            four = isinstance(result, tuple) and len(result) == 4
            old = " (the old API's done is split in two)" if four else ""
            raise MalformedEnvironmentError(
                f"{self.name}: step returned {_kind(result)}; {STEP}{old}, with a dict as info"
            )
        observation, reward, terminated, truncated, info = result
        if type(reward) is not float and not _number(reward):
            raise MalformedEnvironmentError(
                f"{self.name}: step returned {_kind(reward)} as reward, which must be one number"
            )
        flags = type(terminated) is bool is type(truncated)
        if not flags and not (_number(terminated) and _number(truncated)):
            raise MalformedEnvironmentError(
                f"{self.name}: step returned {_kind(terminated)} and {_kind(truncated)} as terminated "
                "and truncated, which must be True or False"
            )
        observation = self._observation(observation, "step")
        return observation, float(reward), bool(terminated), bool(truncated), info

    def _observation(self, observation: Any, where: str) -> Any:
        space = self.observation_space
        if not isinstance(space, Box):
            return observation  # no policy here can see it, and says so itself
        try:
            x = np.asarray(observation)
        except ValueError:  # rows of different lengths
            x = np.asarray(None)
        if x.shape != space.shape:
            raise MalformedEnvironmentError(
                f"{self.name}: {where} returned {_kind(observation)} as observation, but its "
                f"observation_space has shape {space.shape}"
            )
        if x.dtype == space.dtype:
            return x.copy()
        with np.errstate(all="ignore"):  # the collector reports what is no longer finite
            cast = np.array(x, dtype=space.dtype) if x.dtype.kind in "biuf" else None
        if cast is None or not (
            np.can_cast(x.dtype, space.dtype, "same_kind") or np.array_equal(cast, x)
        ):
            raise MalformedEnvironmentError(
                f"{self.name}: {where} returned {_kind(observation)} of type {x.dtype} as observation, "
                f"but its observation_space is of {space.dtype}"
            )
        return cast


def hold_to_contract(envs: gym.vector.VectorEnv) -> None:
    """Put a `CheckedEnv` round every copy of a ``SyncVectorEnv`` that has none yet.

    It hands out an ended episode's last observation after the next one has begun, which is another
    one by then if the environment re-uses its array.
    """
    if isinstance(envs.unwrapped, SyncVectorEnv):
        copies = envs.unwrapped.envs
        for i, env in enumerate(copies):
            copies[i] = env if isinstance(env, CheckedEnv) else CheckedEnv(env, i)


def check_arrays(
    result: Any, size: int, envs: gym.vector.VectorEnv, shapes: tuple[tuple[int, ...], ...]
) -> None:
    """Raise a MalformedEnvironmentError unless N copies' reset or step (size 2 or 5) fits.

    Parameters
    ----------
    result : object
        What reset or step returned.
    size : int
        How many things that should be.
    envs : VectorEnv
    shapes : pair of tuple
        Of observations, and of everything else.
    """
    where, words = ("reset", RESET) if size == 2 else ("step", STEP)
    if not isinstance(result, tuple) or len(result) != size or not isinstance(result[-1], dict):
        raise MalformedEnvironmentError(
            f"{type(envs).__name__}: {where} returned {_kind(result)}; {words}, with a dict as info"
        )
    for i, x in enumerate(result[:-1]):
        shape = shapes[i > 0]
        if np.shape(x) != shape:
            name = ("observations", "rewards", "terminated", "truncated")[i]
            raise MalformedEnvironmentError(
                f"the environment's {where} returned {name} of shape {np.shape(x)}, not {shape}"
            )


def require_finite_rows(
    what: str,
    x: NDArray,
    envs: gym.vector.VectorEnv,
    lengths: NDArray,
    copies: NDArray | None = None,
) -> None:
    """Raise a FloatingPointError that names copy and step unless all of x is finite.

    Parameters
    ----------
    what : str
    x : ndarray, shape (N, ...), or (K, ...) with copies
    envs : VectorEnv
    lengths : ndarray of int, shape (N,)
        Steps that each copy has taken in its episode.
    copies : ndarray of bool, shape (N,), optional
        The K copies that x is about; all by default.
    """
    if np.isfinite(x).all():
        return
    row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(axis=1)))
    copy = row if copies is None else int(np.flatnonzero(copies)[row])
    shown = np.array2string(x[row], precision=4, threshold=8)
    raise FloatingPointError(
        f"the environment returned {what} that are not finite: {shown} by "
        f"{getattr(envs, 'name', type(envs).__name__)} (copy {copy}) after {lengths[copy]} steps of "
        "its episode"
    )


def single_precision(what: str, x: NDArray) -> NDArray:
    """A copy in float32 of finite numbers; a FloatingPointError if one is too large for it."""
    if x.dtype == np.float32:
        return x.copy()
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if not np.isfinite(single).all():
        raise FloatingPointError(
            f"the environment returned {what} that are not finite in float32: as large as "
            f"{np.abs(x).max():.3g}"
        )
    return single


def own(space: S) -> S:
    """A copy of a space with a fresh random generator: an unseeded one repeats no other's draws."""
    space = copy.deepcopy(space)
    space.seed()
    return space


def _kind(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)}"
    return "None" if x is None else f"a {type(x).__name__}"


def _number(x: Any) -> bool:
    return isinstance(x, numbers.Real | np.bool_) or getattr(x, "ndim", None) == 0
