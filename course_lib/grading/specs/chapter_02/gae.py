"""Task 2.3: generalised advantage estimation."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..rollouts import EXTREMES, SCENES, draw_rollout
from .residuals import EXERCISE, end_of_episode, residuals, uses_the_example


def probes(generator):
    """Return one call per rollout."""
    calls = []
    for scene in (*SCENES, *EXTREMES):
        rollout = draw_rollout(scene, generator)
        arrays = tuple(rollout[name] for name in PARAMETERS[:5])
        calls.append(
            Probe(
                scene.title,
                (*arrays, scene.gamma, scene.gae_lambda),
                scene.scale,
                scene in EXTREMES,
            )
        )
    return calls


def oracle(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):
    """Return the double sum of the definition: every row adds up its own residuals."""
    answer = np.zeros(rewards.shape)
    reached = np.where(terminated, 0.0, next_values)
    deltas = rewards + gamma * reached - values
    for t, i in np.ndindex(rewards.shape):
        terms = deltas[t : end_of_episode(terminated, truncated, t, i) + 1, i]
        answer[t, i] = (gamma * gae_lambda) ** np.arange(len(terms)) @ terms
    return answer


def variant(
    rewards,
    values,
    next_values,
    terminated,
    truncated,
    gamma,
    gae_lambda,
    *,
    cut="ended",
    trace="gamma lambda",
    direction="backward",
    start="zero",
    last_row="kept",
    scale="one",
    end="kept",
    output="advantages",
    **flags,
):
    """Return the advantages by recursion, with options that commit mistakes.

    A ``forward`` loop cuts with the flag of the row before, as an eligibility trace does; with
    ``forward, own flag`` only the order of the rows has changed.
    """
    ended = terminated | truncated
    deltas = residuals(rewards, values, next_values, terminated, gamma, ended=ended, **flags)
    goes_on = {
        "ended": ~ended,
        "never": np.ones_like(ended),
        "terminated": ~terminated,
        "truncated": ~truncated,
        "next flag": ~np.concatenate([ended[1:], np.zeros_like(ended[:1])]),
        "both subtracted": 1.0 - terminated - truncated,
    }[cut]
    decay = {
        "gamma lambda": gamma * gae_lambda,
        "gamma": gamma,
        "lambda": gae_lambda,
        "none": 0.0,
        "one": 1.0,
        "1 - lambda": gamma * (1 - gae_lambda),
    }[trace]
    steps = list(range(len(deltas)))
    carry = next_values[-1] if start == "value" else np.zeros_like(deltas[0])
    answer = np.zeros(rewards.shape)
    if last_row == "zero":
        steps.pop()
    for t in reversed(steps) if direction == "backward" else steps:
        mask = goes_on[max(t - 1, 0)] if direction == "forward" else goes_on[t]
        carry = deltas[t] + decay * mask * carry
        if end == "zero":
            carry = carry * ~ended[t]
        answer[t] = carry
    if scale == "1 - lambda":
        answer = answer * (1 - gae_lambda)
    if output == "normalised":
        return (answer - answer.mean()) / (answer.std() + 1e-8)
    return answer + values if output == "returns" else answer


MISTAKES = (
    *catalogue(
        """
    trace_not_cut: cut="never"
        Your trace runs across the end of an episode: advantages before the end contain residuals of
        the next episode. The row of an end must equal its own residual. What should stop the sum
        there?
    cut_at_terminated_only: cut="terminated"
        Your trace stops where an episode terminates but runs on where it is truncated. After a
        truncation the environment is reset, so the next row belongs to another episode as well.
        Look at the row of a truncation: it must equal its own residual.
    cut_at_truncated_only: cut="truncated"
        Your trace stops where an episode is truncated but runs on where it terminates. Look at the
        row of a termination: it must equal its own residual.
    cut_by_next_flag: cut="next flag"
        You cut the trace with the flag of the following row. A flag at row t says that step t was
        the last of its episode, so row t is where nothing more is added. In yours the row before it
        lost its second term, and the row of the end took in the next episode.
    flags_subtracted: cut="both subtracted"
        You subtract both flags from 1. Where both are set that gives -1, and the trace is
        subtracted instead of cut. Only the rollout with both flags at one step shows it. What says
        that at least one of two flags is set?
    terminated_ignored: cut="truncated", bootstrap="always"
        The flag `terminated` has no effect in your answer: you count V of the next state there, and
        the trace runs on into the next episode. The row of a termination should hold its own reward
        and its own V alone.
    bootstrap_at_terminated: bootstrap="always"
        Your residual counts V of the next state even where the episode terminated. Nothing follows
        there. The row of a termination is off by gamma times that value, and the rows before it
        inherit a shrinking part of the error.
    no_bootstrap_at_truncated: bootstrap="not ended"
        You leave out V of the next state where the episode was truncated. The two flags do two
        different things: both stop the trace, only one removes the bootstrap. Look at the row of a
        truncation: a truncated episode would have gone on.
    lambda_missing: trace="gamma"
        Your trace decays by gamma alone, which is the case lambda = 1. The last row is right, the
        rows above it count later residuals too much. Which two factors does each step back in time
        cost?
    gamma_missing_in_trace: trace="lambda"
        Your trace decays by lambda alone. The last row is right, the rows above it count later
        residuals too much. A residual one step later is also discounted.
    no_decay: trace="one"
        Later residuals enter your advantage with full weight: the trace does not decay at all. The
        last row is right, and the error grows with the number of steps that follow.
    residuals_only: trace="none"
        You return the TD residuals themselves: nothing of the later steps arrives. That is the case
        lambda = 0. If your loop does add the next advantage, ask in which order the rows are
        filled.
    one_minus_lambda_in_trace: trace="1 - lambda"
        Your trace decays by 1 - lambda instead of lambda. The larger lambda is, the more of the
        future an advantage holds; with yours it is the other way round.
    normalised_weights: scale="1 - lambda"
        All your numbers are too small by the factor 1 - lambda. That factor belongs to the average
        of n-step estimators; once their residuals are collected it cancels. An advantage starts
        with its own residual at weight 1.
    forward: direction="forward"
        Your sum collects residuals of the past: row 0 is its own residual and the last row holds
        everything. An advantage judges an action by what came after it. In which direction must the
        recursion run?
    forward_loop: direction="forward, own flag"
        Your loop runs from the first row to the last, so each row receives what came before it. The
        recursion needs the advantage of the row below: which row can be filled first?
    values_shifted: reached="values"
        You read V of the next state from the next row of `values`. Where an episode has just ended
        that row holds the first state of another one. Which argument holds V of the state that step
        t really reached?
    no_discount_in_residual: discount="nothing"
        V of the next state enters your residual without gamma. The last row shows it: there the
        advantage is the residual alone.
    last_row_without_bootstrap: last="none"
        The last row lacks V of the state it reached, and the rows above inherit the error. The
        rollout stops there, the episode does not: only termination removes the bootstrap.
    last_row_zero: last_row="zero"
        The last row of your answer is 0. Nothing follows it, yet it has a residual of its own.
        Where does your loop begin?
    starts_with_value: start="value"
        Your recursion starts with V of the last state instead of 0. That value is already inside
        the last residual, so it is counted twice. The last row is off where its episode goes on.
    zero_at_end: end="zero"
        The advantage is 0 wherever an episode ends. The cut belongs to what comes from the next
        row; the residual of the step itself stays.
    returns_instead_of_advantages: output="returns"
        You return advantages plus V, the lambda-returns on which a critic is trained. All your
        numbers are off by V of their own state.
    normalised_at_the_end: output="normalised"
        Your advantages are shifted and scaled: their mean is 0 and their deviation 1. That is task
        5, a step of its own. This function returns them in the units of the reward.
    """
    ),
    uses_the_example("gamma"),
    uses_the_example("gae_lambda"),
    uses_the_example("gamma", "gae_lambda"),
)

PARAMETERS = (
    *("rewards", "values", "next_values", "terminated", "truncated", "gamma", "gae_lambda"),
)

SPEC = Spec(
    name="gae",
    exercise=EXERCISE,
    parameters=PARAMETERS,
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
