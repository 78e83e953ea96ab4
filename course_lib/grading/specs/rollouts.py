"""Probes that look like rollouts, chosen so that no two mistakes look alike on all of them.

V of the last state is not 0, episodes end inside the rollout in both ways, T and N differ, gamma
and lambda differ, the first column has no ends, and some rollouts stop at an end and some do not.
"""

from dataclasses import dataclass

import numpy as np

from .draws import signed


@dataclass(frozen=True)
class Scene:
    """A rollout's shape and the (t, environment) at which its episodes end."""

    title: str
    shape: tuple[int, int]
    terminated: tuple[tuple[int, int], ...] = ()
    truncated: tuple[tuple[int, int], ...] = ()
    gamma: float = 0.9
    gae_lambda: float = 0.7


SCENES = (
    Scene("no episode ends", (3, 1)),
    Scene("the episode terminates at t = 2", (5, 1), terminated=((2, 0),)),
    Scene("the episode is truncated at t = 1", (5, 1), truncated=((1, 0),), gamma=0.8),
    Scene(
        "environment 1 terminates in the last row, environment 2 is truncated there",
        (4, 3),
        terminated=((3, 1),),
        truncated=((3, 2),),
        gae_lambda=0.6,
    ),
    Scene("one step only; environment 0 terminates", (1, 2), terminated=((0, 0),)),
    Scene(
        "both flags are set at t = 2 of environment 1",
        (6, 2),
        terminated=((2, 1),),
        truncated=((2, 1),),
    ),
    Scene(
        "several episodes end in every environment but the first",
        (12, 4),
        terminated=((2, 1), (8, 1), (5, 2), (6, 2), (11, 3)),
        truncated=((5, 1), (0, 2), (10, 2), (3, 3), (4, 3)),
        gamma=0.95,
        gae_lambda=0.8,
    ),
)


def draw_rollout(scene: Scene, generator: np.random.Generator) -> dict:
    """Return the arrays of a rollout, with numbers of one decimal that a person can follow.

    Parameters
    ----------
    scene : Scene
        Shape and ends.
    generator : numpy.random.Generator
        Source of the numbers.

    Returns
    -------
    dict
        ``rewards``, ``values``, ``next_values`` (float64) and ``terminated``, ``truncated`` (bool),
        all of shape (T, N). Where an episode goes on, ``next_values[t]`` is ``values[t + 1]``.
    """

    def numbers(shape):
        return signed(generator, 5, 40, shape)

    flags = {}
    for name in ("terminated", "truncated"):
        flags[name] = np.zeros(scene.shape, dtype=bool)
        for place in getattr(scene, name):
            flags[name][place] = True
    values, reached = numbers(scene.shape), numbers(scene.shape)
    goes_on = ~(flags["terminated"] | flags["truncated"])[:-1]
    reached[:-1][goes_on] = values[1:][goes_on]
    return {"rewards": numbers(scene.shape), "values": values, "next_values": reached, **flags}
