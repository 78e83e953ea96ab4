"""Task 2.2: n-step advantages."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..rollouts import EXTREMES, SCENES, Scene, draw_rollout
from .residuals import EXERCISE, end_of_episode, residuals, uses_the_example

CALLS = (
    *zip(SCENES, (2, 3, 2, 1, 3, 2, 4), strict=True),
    *zip(EXTREMES[:4], (5, 3, 1000, 2), strict=True),
    (Scene("90 steps", (90, 1), terminated=((80, 0),), gamma=0.999), 60),
)


def probes(generator):
    """Return one call per rollout; n = 1 and n > T are among them."""
    calls = []
    for scene, n in CALLS:
        rollout = draw_rollout(scene, generator)
        arrays = tuple(rollout[name] for name in PARAMETERS[:5])
        calls.append(
            Probe(
                f"n = {n}; {scene.title}",
                (*arrays, scene.gamma, n),
                scene.scale,
                scene not in SCENES,
            )
        )
    return calls


def oracle(rewards, values, next_values, terminated, truncated, gamma, n):
    """Return the advantages from n discounted rewards, a bootstrap and V, without residuals."""
    answer = np.zeros(rewards.shape)
    for t, i in np.ndindex(rewards.shape):
        last = min(t + n - 1, end_of_episode(terminated, truncated, t, i))
        total = sum(gamma ** (step - t) * rewards[step, i] for step in range(t, last + 1))
        if not terminated[last, i]:
            total += gamma ** (last - t + 1) * next_values[last, i]
        answer[t, i] = total - values[t, i]
    return answer


def variant(
    rewards,
    values,
    next_values,
    terminated,
    truncated,
    gamma,
    n,
    *,
    cut="ended",
    count="n",
    weights="gamma",
    short="kept",
    output="advantages",
    **flags,
):
    """Return the advantages as sums of residuals, with options that commit mistakes.

    ``before the end`` drops the residual of an end from the rows above it, ``without the end`` from
    its own row as well.
    """
    ended = terminated | truncated
    deltas = residuals(rewards, values, next_values, terminated, gamma, ended=ended, **flags)
    goes_on = {
        "ended": ~ended,
        "never": np.ones_like(ended),
        "terminated": ~terminated,
        "truncated": ~truncated,
        "before the end": ~ended,
        "without the end": ~ended,
        "next flag": ~np.concatenate([ended[1:], np.zeros_like(ended[:1])]),
        "both subtracted": 1.0 - terminated - truncated,
    }[cut]
    left_out = {"before the end": 1, "without the end": 0}.get(cut, len(rewards))
    terms = {"n": n, "n+1": n + 1, "n-1": n - 1, "one": 1, "all": len(rewards)}[count]
    factor, power = {"gamma": (gamma, 0), "one": (1.0, 0), "gamma, late": (gamma, 1)}[weights]
    answer = np.zeros(rewards.shape)
    for t, i in np.ndindex(rewards.shape):
        if short == "zero" and t + n > len(rewards):
            continue
        kept = 1.0
        for step in range(t, min(t + terms, len(rewards))):
            if step - t >= left_out and ended[step, i]:
                break
            answer[t, i] += kept * factor ** (step - t + power) * deltas[step, i]
            kept *= goes_on[step, i]
    return answer + values if output == "targets" else answer


MISTAKES = (
    *catalogue(
        """
    not_cut: cut="never"
        Your sum runs on past the end of an episode, into rewards of the next one. Take the row of
        an end in the table: its sum has one term only. What tells you that an episode ended?
    cut_at_terminated_only: cut="terminated"
        Your sum stops where an episode terminates but runs on where it is truncated. The next row
        belongs to another episode in both cases. Look at the rows just before a truncation.
    cut_at_truncated_only: cut="truncated"
        Your sum stops where an episode is truncated but runs on where it terminates. The next row
        belongs to another episode in both cases. Look at the rows just before a termination.
    last_residual_dropped: cut="before the end"
        Your sum stops one step too early: the residual of the step that ends the episode still
        belongs to it. Look at the row just before an end: it has two terms.
    end_left_out: cut="without the end"
        Your sum stops before the step that ends an episode: the row of an end is 0 in your answer.
        That step still belongs to its episode, and its residual is the last term. In which order
        does your loop add and ask?
    flags_subtracted: cut="both subtracted"
        You subtract both flags from 1. Where both are set that gives -1, and what follows is
        subtracted instead of dropped. Only the rollout with both flags at one step shows it. What
        says that at least one of two flags is set?
    terminated_ignored: cut="truncated", bootstrap="always"
        The flag `terminated` has no effect in your answer: you count V of the next state there, and
        your sum runs on into the next episode. A termination is an end in both respects.
    cut_by_next_flag: cut="next flag"
        You stop at the flag of the following row, one step too early. A flag at row t says that
        step t was the last of its episode: the row before it still adds the residual of row t.
    one_term_too_many: count="n+1"
        Your sum has n + 1 terms. Count them for n = 1: the answer is then the TD residual itself.
    one_term_too_few: count="n-1"
        Your sum has n - 1 terms. Count them for n = 1: the answer is then the TD residual itself,
        and yours is 0.
    first_term_only: count="one"
        You return the TD residuals themselves. They are the case n = 1; for larger n the residuals
        of the following steps are added, each discounted once more.
    n_ignored: count="all"
        Your sum runs to the end of the episode whatever n is. Compare a rollout with small n and
        many rows: the last n rows are right, the rows above them hold too much.
    sum_not_discounted: weights="one"
        The residuals enter your sum with weight 1. A residual that lies k steps ahead is discounted
        k times. The last row is right because it has one term; the row above it is not.
    discounted_once_too_often: weights="gamma, late"
        Every term of your sum carries one gamma too many. The residual of step t itself is not
        discounted. The last row shows it: your number is gamma times the right one.
    short_rows_zero: short="zero"
        The last n - 1 rows of your answer are 0. Fewer than n steps are left there: the sum stops
        at the end of the rollout and keeps the terms that exist.
    bootstrap_at_terminated: bootstrap="always"
        Your residuals count V of the next state even where the episode terminated. Is your
        `td_residuals` right already? Look at the row of a termination.
    no_bootstrap_at_truncated: bootstrap="not ended"
        You leave out V of the next state where the episode was truncated. A truncated episode would
        have gone on, so that value still counts; only the sum stops there.
    targets_instead_of_advantages: output="targets"
        You return advantages plus V, which are value targets. All your numbers are off by V of
        their own state.
    """
    ),
    uses_the_example("gamma"),
)

PARAMETERS = ("rewards", "values", "next_values", "terminated", "truncated", "gamma", "n")

SPEC = Spec(
    name="n_step_advantages",
    exercise=EXERCISE,
    parameters=PARAMETERS,
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
