"""TD residuals with options that commit mistakes; the tasks of this chapter build on them."""

import numpy as np

from ...spec import Mistake

EXERCISE = "02_advantage_estimation"
EXAMPLE = {"gamma": 0.5, "gae_lambda": 0.8}  # variables of the notebook


def uses_the_example(*names) -> Mistake:
    """Return the mistake of reading these variables of the notebook in place of the arguments."""
    listed = " and ".join(f"{name} = {EXAMPLE[name]}" for name in names)
    return Mistake(
        "_".join(["example", *names]),
        f"Your answers match {listed} of the worked example, whatever the call passes. Do you use "
        "the argument? Compare the names in the first line of your function with those below it.",
        arguments={name: EXAMPLE[name] for name in names},
    )


def residuals(
    rewards,
    values,
    next_values,
    terminated,
    gamma,
    *,
    ended=None,
    bootstrap="not terminated",
    discount="next",
    reached="next_values",
    last="bootstrap",
):
    """Return TD residuals, right by default.

    Parameters
    ----------
    rewards, values, next_values, terminated, gamma
        As in `course_lib.advantages.td_residuals`.
    ended : ndarray of bool, optional
        Where an episode ends in either way; needed for ``bootstrap="not ended"``.
    bootstrap : str
        Where V of the next state counts: ``not terminated``, ``always``, ``not ended``,
        ``only terminated``, or ``next step's flag``.
    discount : str
        What gamma multiplies: the ``next`` value, ``nothing``, the whole ``target``, or the
        ``current`` value.
    reached : str
        ``next_values``, or ``values`` shifted by one step.
    last : str
        What the last row adds: its ``bootstrap``, or ``none``.
    """
    later = np.concatenate([terminated[1:], np.zeros_like(terminated[:1])])
    counts = {
        "not terminated": ~terminated,
        "always": np.ones_like(terminated),
        "not ended": ~(terminated if ended is None else ended),
        "only terminated": terminated,
        "next step's flag": ~later,
    }[bootstrap].copy()
    if last == "none":
        counts[-1] = False
    if reached == "values":
        next_values = np.concatenate([values[1:], next_values[-1:]])
    outer, inner, current = {
        "next": (1.0, gamma, 1.0),
        "nothing": (1.0, 1.0, 1.0),
        "target": (gamma, 1.0, 1.0),
        "current": (1.0, 1.0, gamma),
    }[discount]
    return outer * (rewards + inner * counts * next_values) - current * values


def end_of_episode(terminated, truncated, t, environment) -> int:
    """Return the step at which the episode that runs at `t` ends, or the rollout does."""
    ends = np.flatnonzero(terminated[t:, environment] | truncated[t:, environment])
    return t + int(ends[0]) if len(ends) else len(terminated) - 1
