"""Task 2.1: TD residuals."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..rollouts import EXTREMES, SCENES, draw_rollout
from .residuals import EXERCISE, residuals, uses_the_example


def probes(generator):
    """Return one call per rollout."""
    calls = []
    for scene in (*SCENES, *EXTREMES):
        r = draw_rollout(scene, generator)
        arrays = (r["rewards"], r["values"], r["next_values"], r["terminated"])
        calls.append(Probe(scene.title, (*arrays, scene.gamma), scene.scale, scene in EXTREMES))
    return calls


def oracle(rewards, values, next_values, terminated, gamma):
    """Return the residuals entry by entry."""
    answer = np.zeros(rewards.shape)
    for place in np.ndindex(rewards.shape):
        target = rewards[place]
        if not terminated[place]:
            target += gamma * next_values[place]
        answer[place] = target - values[place]
    return answer


def variant(rewards, values, next_values, terminated, gamma, *, output="residual", **flags):
    """Return residuals, targets, negated residuals, or residuals that vanish at an end."""
    answer = residuals(rewards, values, next_values, terminated, gamma, **flags)
    if output == "target":
        return answer + values
    if output == "negative":
        return -answer
    if output == "zero at end":
        return answer * ~terminated
    return answer


MISTAKES = (
    *catalogue(
        """
    bootstrap_at_terminated: bootstrap="always"
        Your residual counts V of the next state even where the episode terminated. After a
        termination no reward follows, so nothing of what follows can be worth anything. Compare the
        rows with terminated = 1 with the others: only they are off, by gamma times V.
    flag_inverted: bootstrap="only terminated"
        You count V of the next state exactly where you should not, and leave it out everywhere
        else. What is the value of the flag at a step after which the episode goes on?
    flag_of_next_step: bootstrap="next step's flag"
        You look at the flag one row too late. terminated[t] tells how step t itself ended, and
        decides about the value of the state that step t reached. Look at the row just before a
        termination: it is off, and so is the row of the termination.
    no_discount: discount="nothing"
        The value of the next state enters with weight 1. It lies one step in the future: which
        factor does the formula give to it? Each row that bootstraps is off by (1 - gamma) V.
    reward_discounted: discount="target"
        gamma multiplies the reward too. The reward of step t arrives at step t, undiscounted; only
        what comes one step later is discounted. A row that terminates shows it best: there the
        answer is the reward minus V, with no gamma at all.
    wrong_value_discounted: discount="current"
        gamma multiplies V of the state that the step left. It belongs to V of the state that the
        step reached. In a row that terminates, gamma must not appear at all; in yours it does.
    values_shifted: reached="values"
        You read V of the next state from the next row of `values`. That row holds the first state
        of the next episode if one has just begun. Which argument holds V of the state that step t
        really reached? Compare the row of a truncation with the rows around it.
    last_row_without_bootstrap: last="none"
        The last row lacks V of the state it reached. The rollout stops there, the episode does not:
        only termination removes the bootstrap. Every other row is right.
    target_instead_of_residual: output="target"
        You return the target, the reward plus the discounted value. A residual says how far the
        target lies above what the critic had predicted. Your numbers are all off by V.
    sign: output="negative"
        Your numbers have the wrong sign throughout. A step that went better than the critic
        expected must have a positive residual.
    zero_at_end: output="zero at end"
        The residual is 0 wherever an episode terminates. The mask belongs to the value of the next
        state alone: the last reward and the critic's last prediction still count.
    """
    ),
    uses_the_example("gamma"),
)

SPEC = Spec(
    name="td_residuals",
    exercise=EXERCISE,
    parameters=("rewards", "values", "next_values", "terminated", "gamma"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
