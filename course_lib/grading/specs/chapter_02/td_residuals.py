"""Task 2.1: TD residuals."""

import numpy as np

from ...spec import Mistake, Probe, Spec
from ..rollouts import SCENES, draw_rollout
from .residuals import EXERCISE, residuals, uses_the_example


def probes(generator):
    """Return one call per rollout."""
    calls = []
    for scene in SCENES:
        r = draw_rollout(scene, generator)
        arrays = (r["rewards"], r["values"], r["next_values"], r["terminated"])
        calls.append(Probe(scene.title, (*arrays, scene.gamma)))
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
    Mistake(
        "bootstrap_at_terminated",
        "Your residual counts V of the next state even where the episode terminated. After a "
        "termination no reward follows, so nothing of what follows can be worth anything. Compare "
        "the rows with terminated = 1 with the others: only they are off, by gamma times V.",
        {"bootstrap": "always"},
    ),
    Mistake(
        "flag_inverted",
        "You count V of the next state exactly where you should not, and leave it out everywhere "
        "else. What is the value of the flag at a step after which the episode goes on?",
        {"bootstrap": "only terminated"},
    ),
    Mistake(
        "flag_of_next_step",
        "You look at the flag one row too late. terminated[t] tells how step t itself ended, and "
        "decides about the value of the state that step t reached. Look at the row just before a "
        "termination: it is off, and so is the row of the termination.",
        {"bootstrap": "next step's flag"},
    ),
    Mistake(
        "no_discount",
        "The value of the next state enters with weight 1. It lies one step in the future: which "
        "factor does the formula give to it? Each row that bootstraps is off by (1 - gamma) V.",
        {"discount": "nothing"},
    ),
    Mistake(
        "reward_discounted",
        "gamma multiplies the reward too. The reward of step t arrives at step t, undiscounted; "
        "only what comes one step later is discounted. A row that terminates shows it best: there "
        "the answer is the reward minus V, with no gamma at all.",
        {"discount": "target"},
    ),
    Mistake(
        "wrong_value_discounted",
        "gamma multiplies V of the state that the step left. It belongs to V of the state that "
        "the step reached. In a row that terminates, gamma must not appear at all; in yours it "
        "does.",
        {"discount": "current"},
    ),
    Mistake(
        "values_shifted",
        "You read V of the next state from the next row of `values`. That row holds the first "
        "state of the next episode if one has just begun. Which argument holds V of the state "
        "that step t really reached? Compare the row of a truncation with the rows around it.",
        {"reached": "values"},
    ),
    Mistake(
        "last_row_without_bootstrap",
        "The last row lacks V of the state it reached. The rollout stops there, the episode does "
        "not: only termination removes the bootstrap. Every other row is right.",
        {"last": "none"},
    ),
    Mistake(
        "target_instead_of_residual",
        "You return the target, the reward plus the discounted value. A residual says how far the "
        "target lies above what the critic had predicted. Your numbers are all off by V.",
        {"output": "target"},
    ),
    Mistake(
        "sign",
        "Your numbers have the wrong sign throughout. A step that went better than the critic "
        "expected must have a positive residual.",
        {"output": "negative"},
    ),
    Mistake(
        "zero_at_end",
        "The residual is 0 wherever an episode terminates. The mask belongs to the value of the "
        "next state alone: the last reward and the critic's last prediction still count.",
        {"output": "zero at end"},
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
