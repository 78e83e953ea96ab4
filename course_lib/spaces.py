"""Spaces: which ones the policies can serve, and the way from a policy's action to the environment's.

A Gaussian policy acts on a scale of its own, where an untrained sigma of about 1 reaches a good part
of [-1, 1]. The bounds of an environment's Box say which part of its scale that should be.
"""

from typing import Any, TypeGuard

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

# Box.low and .high of "no limit" are often the largest float32. Beyond this half-width, the square
# of an action on the environment's scale would no longer be a float32.
_UNBOUNDED = 1e18


class ActionMap:
    """From a policy's actions to those an environment is sent.

    Discrete actions are counted from ``start``. In every dimension of a Box that has two finite
    bounds, -1 and 1 become these bounds, and what lies between is mapped affinely; a dimension
    without two of them keeps its scale. Then everything is clipped to the Box, and rounded if the Box
    holds integers. For bounds -1 and 1 the map is the identity, clipped.

    What a rollout stores are the policy's own actions, neither mapped nor clipped: those are what its
    log-probabilities are of (chapter 9).

    Parameters
    ----------
    space : Discrete or Box
        Of a single environment.
    """

    def __init__(self, space: gym.Space) -> None:
        self.space, self.box = space, isinstance(space, Box)
        if not isinstance(space, Box):
            assert isinstance(space, Discrete)  # `require_supported` lets nothing else through
            self.start = space.start
            return
        self.integers = np.issubdtype(space.dtype, np.integer)
        self.low, self.high = space.low.astype(np.float64), space.high.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity minus infinity has no centre, and needs none
            centre, half = self.high / 2 + self.low / 2, self.high / 2 - self.low / 2
        bounded = np.isfinite(half) & (half < _UNBOUNDED)
        self.centre, self.half = np.where(bounded, centre, 0.0), np.where(bounded, half, 1.0)
        self.only_clips = bool((self.centre == 0).all() and (self.half == 1).all())

    def __call__(self, actions: NDArray) -> NDArray:
        """What the environment is sent for actions (N,) or (N, d), in its space's type."""
        if not self.box:
            return actions + self.start if self.start else actions
        mapped = actions if self.only_clips else self.centre + self.half * actions
        sent = np.minimum(np.maximum(mapped, self.low), self.high)
        return (np.rint(sent) if self.integers else sent).astype(self.space.dtype)

    def clipped_share(self, actions: NDArray) -> float:
        """Share of the components of Box actions (B, d) beyond the bounds; NaN if there are none."""
        if not self.box or actions.size == 0:
            return float("nan")
        mapped = self.centre + self.half * actions
        return float(np.mean((mapped < self.low) | (mapped > self.high)))


def require_supported(observation_space: gym.Space, action_space: gym.Space) -> None:
    """Raise a ValueError if the policies cannot serve these spaces; it names a wrapper that helps.

    Parameters
    ----------
    observation_space, action_space : gymnasium.Space
        Of a single environment: a flat Box, and a Discrete or a flat Box.
    """
    if not _flat(observation_space):
        raise ValueError(
            f"observations must be a flat Box, not {observation_space}: {_observation_remedy(observation_space)}"
        )
    if isinstance(action_space, Discrete) or _flat(action_space):
        return
    raise ValueError(
        f"actions must be Discrete or a flat Box, not {action_space}: {_action_remedy(action_space)}"
    )


def shape_of(space: gym.Space) -> tuple[int, ...]:
    """The shape of an element of a supported space: () if it is Discrete, (d,) if it is a Box."""
    assert space.shape is not None  # only spaces that `require_supported` refuses have none
    return space.shape


def _flat(space: gym.Space) -> TypeGuard[Box]:
    return isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] > 0


def _observation_remedy(space: gym.Space) -> str:
    try:
        flattened: Any = gym.spaces.flatten_space(space)
    except (NotImplementedError, ValueError):
        flattened = None
    if flattened is not None and _flat(flattened):
        return (
            "wrap the environment in gymnasium.wrappers.FlattenObservation, which makes one of "
            f"{flattened.shape[0]} numbers (TransformObservation makes any other)"
        )
    return (
        "wrap the environment in gymnasium.wrappers.TransformObservation, with a function that makes "
        "a vector of fixed length of each, and that vector's Box"
    )


def _action_remedy(space: gym.Space) -> str:
    wrap = "wrap the environment in gymnasium.wrappers.TransformAction, with "
    if isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        sizes = 2 if isinstance(space, gym.spaces.MultiBinary) else space.nvec
        choices = int(np.prod(np.broadcast_to(sizes, space.shape), dtype=np.float64))
        return f"{wrap}Discrete({choices}), one action for each combination (numpy.unravel_index)"
    if isinstance(space, Box) and np.prod(space.shape) > 0:
        return f"{wrap}a Box of shape ({int(np.prod(space.shape))},) and a function that reshapes"
    return f"{wrap}a Discrete or a flat Box, and a function from its actions to these"
