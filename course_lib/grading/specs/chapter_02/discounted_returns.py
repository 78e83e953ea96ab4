"""Task 2.4: Monte Carlo value targets with a bootstrap at time limits."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..rollouts import EXTREMES, SCENES, draw_rollout
from .residuals import EXERCISE, end_of_episode, uses_the_example


def probes(generator):
    """Return one call per rollout."""
    calls = []
    for scene in (*SCENES, *EXTREMES):
        rollout = draw_rollout(scene, generator)
        arrays = tuple(rollout[name] for name in PARAMETERS[:4])
        calls.append(Probe(scene.title, (*arrays, scene.gamma), scene.scale, scene in EXTREMES))
    return calls


def oracle(rewards, next_values, terminated, truncated, gamma):
    """Return the sum of discounted rewards to the end of the episode, plus what was cut off."""
    answer = np.zeros(rewards.shape)
    for t, i in np.ndindex(rewards.shape):
        last = end_of_episode(terminated, truncated, t, i)
        rest = 0.0 if terminated[last, i] else next_values[last, i]
        weights = gamma ** np.arange(last - t + 2)
        answer[t, i] = np.dot(weights, [*rewards[t : last + 1, i], rest])
    return answer


def variant(
    rewards,
    next_values,
    terminated,
    truncated,
    gamma,
    *,
    at_terminated="nothing",
    at_truncated="value",
    in_last_row="value",
    discount="future",
    value_discount="gamma",
    direction="backward",
    one_step=False,
    choose="first flag",
):
    """Return the targets by recursion, with options that commit mistakes.

    ``at_terminated`` and ``at_truncated`` say what follows there: ``nothing``, the ``value``, the
    next row's ``return``, or ``both``. ``value last`` means that a truncation, or the last row,
    wins where the step terminated as well. The ``forward`` directions differ in what the loop
    carries: ``from V`` starts with the last value and knows no last row, ``reading ahead`` finds
    rows that are not filled yet.
    """
    answer = np.zeros(rewards.shape)
    outer, inner = {"future": (1, gamma), "nothing": (1, 1), "everything": (gamma, 1)}[discount]
    value_factor = {"gamma": inner, "none": 1.0}[value_discount]
    steps = list(range(len(rewards)))
    from_value = direction == "forward, from V"
    following = next_values[-1] if from_value else np.zeros_like(rewards[0])
    for t in reversed(steps) if direction == "backward" else steps:
        value = value_factor * next_values[t]
        goes_on = inner * following * (direction != "forward, reading ahead")
        is_last = t == len(rewards) - 1 and not from_value
        if one_step or (is_last and in_last_row != "nothing"):
            goes_on = value
        choices = {
            "nothing": 0.0,
            "value": value,
            "return": goes_on,
            "both": value + inner * following,
        }
        at_end = choices["value" if at_truncated == "value last" else at_truncated]
        first, second = (terminated[t], choices[at_terminated]), (truncated[t], at_end)
        if at_truncated == "value last":
            first, second = second, first
        rest = np.where(first[0], first[1], np.where(second[0], second[1], goes_on))
        if choose == "sum":
            rest = truncated[t] * value + (1.0 - terminated[t] - truncated[t]) * goes_on
        if is_last and in_last_row == "value last":
            rest = value
        following = outer * (rewards[t] + rest)
        answer[t] = following
    return answer


def cumulative_sum(rewards, next_values, terminated, truncated, gamma):
    """Return the plain sum of the rewards to the end of the rollout."""
    return rewards[::-1].cumsum(axis=0)[::-1]


def rewards_alone(rewards, next_values, terminated, truncated, gamma):
    """Return the discounted sum of the rewards to the end of the rollout."""
    distance = np.arange(len(rewards)) - np.arange(len(rewards))[:, None]
    return np.triu(gamma ** np.maximum(distance, 0)) @ rewards


MISTAKES = (
    *catalogue(
        """
    bootstrap_at_terminated: at_terminated="value"
        Your target adds V of the reached state where the episode terminated. Nothing follows a
        termination: there the target is the reward alone.
    runs_through_terminated: at_terminated="return"
        Your sum runs on where an episode terminates, into rewards of the next episode. Look at the
        row of a termination: its target is its own reward.
    no_bootstrap_at_truncated: at_truncated="nothing"
        You treat a truncation like a termination: nothing follows in your sum. A truncated episode
        would have gone on. What stands in for the rewards that were cut off?
    runs_through_truncated: at_truncated="return"
        Your sum runs on where an episode is truncated, into rewards of the next episode. Look at
        the row of a truncation: what follows it in the table belongs to another episode.
    bootstrap_twice: at_truncated="both"
        At a truncation you add the value of the reached state and then the return of the next row
        as well. That row belongs to another episode. The value alone stands in for the rest.
    truncation_wins: at_truncated="value last"
        Both flags are set at one step of the rollout below, and you bootstrap there. The state is
        terminal, whatever the clock said. Which flag must be asked first?
    last_row_always_bootstraps: in_last_row="value last"
        In the last row you add V of the reached state for every environment, also where the episode
        terminated just there. Which question comes before the one for the last row?
    cut_asked_first: at_truncated="value last", in_last_row="value last"
        You ask for a truncation or the last row before you ask for a termination. A step can be
        both, and then you bootstrap from a terminal state. The task says in which order the cases
        are read.
    terminated_ignored: at_terminated="return", at_truncated="value last"
        The flag `terminated` has no effect in your answer: a termination is treated like any other
        step. Look at its row: the target there is the reward alone.
    flags_ignored: at_terminated="return", at_truncated="return"
        Neither flag has an effect in your answer: every sum runs to the last row of the rollout,
        across the ends of episodes. Look at the row of an end. What may follow there?
    flags_subtracted: choose="sum"
        You subtract both flags from 1. Where both are set that gives -1, and the return of the next
        row is subtracted. Only the rollout with both flags at one step shows it. Which case of the
        definition holds there?
    values_ignored: at_truncated="nothing", in_last_row="nothing"
        The values `next_values` have no effect in your answer: you add rewards only. Where the
        clock or the last row cuts an episode, something must stand in for the rest.
    rewards_alone: rewards_alone
        Your answer is the discounted sum of all rewards below, to the end of the rollout. It looks
        neither at the flags nor at `next_values`. Begin with the row of a termination.
    cumulative_sum: cumulative_sum
        Your answer is the plain sum of the rewards from each row to the end of the rollout. It has
        no gamma, it crosses the ends of episodes, and nothing stands in for what was cut off. Begin
        with gamma: a cumulative sum has no place for it.
    last_row_without_bootstrap: in_last_row="nothing"
        The last row lacks V of the state it reached, and the rows above inherit the error. The end
        of the rollout cuts an episode just as a time limit does.
    no_discount: discount="nothing"
        Your sum has no gamma. A reward that lies k steps ahead is discounted k times. In a row that
        terminates you are right; one row earlier you are not.
    reward_discounted: discount="everything"
        Your target discounts its own reward as well. The reward of step t arrives at step t: in a
        row that terminates the target is the reward itself, and yours is gamma times that.
    value_not_discounted: value_discount="none"
        The value that stands in for the rest enters with weight 1. It belongs to the state one step
        later. The rewards are discounted well: only rows before a cut are off.
    one_step_targets: one_step=True
        You bootstrap at every step. That is the one-step target; here rewards are summed up to the
        end of the episode, and a value is needed only where something was cut off.
    forward: direction="forward"
        Your sum collects rewards of the past: row 0 holds one reward and the last row all of them.
        A return counts what comes after the step.
    forward_loop: direction="forward, from V"
        Your loop runs from the first row to the last, so each row receives what came before it. The
        recursion needs the return of the row below: which row can be filled first?
    reads_ahead: direction="forward, reading ahead"
        Where an episode goes on, your target is the reward alone. If your loop does add the return
        of the next row, that row is still empty: in which order are the rows filled?
    """,
        rewards_alone,
        cumulative_sum,
    ),
    uses_the_example("gamma"),
)

PARAMETERS = ("rewards", "next_values", "terminated", "truncated", "gamma")

SPEC = Spec(
    name="discounted_returns",
    exercise=EXERCISE,
    parameters=PARAMETERS,
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
