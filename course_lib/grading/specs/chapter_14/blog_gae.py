"""Task 14.1: repair the advantages of a blog post."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

# number of steps, steps at which an episode ends, gamma, lambda
ROLLOUTS = {
    "no episode ends": (3, (), 0.9, 0.7),
    "an episode ends at t = 1": (4, (1,), 0.5, 0.8),
    "an episode ends in the last row": (5, (4,), 0.8, 0.6),
    "episodes end at t = 0 and at t = 3": (6, (0, 3), 0.9, 0.5),
    "two ends in a row, at t = 2 and t = 3": (7, (2, 3), 0.7, 0.9),
    "fourteen steps, four ends": (14, (3, 6, 10, 13), 0.95, 0.85),
    "one step only": (1, (), 0.9, 0.8),
    "gamma is 0": (4, (1,), 0.0, 0.7),
    "lambda is 0": (4, (1,), 0.9, 0.0),
    "gamma and lambda are 1, numbers of about 1e6": (6, (2,), 1.0, 1.0),
    "1200 steps, one end, both factors near 1": (1200, (1150,), 1 - 2.0**-10, 1 - 2.0**-9),
    "700 steps, one end, both factors small": (700, (5,), 0.5, 0.5),
}


def printed(rewards, values, last_value, dones, gamma, gae_lambda):
    """Return advantages whose trace runs on across the end of an episode."""
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.empty_like(deltas)
    advantages[-1] = deltas[-1]
    for t in range(len(deltas) - 2, -1, -1):
        advantages[t] = deltas[t] + gamma * gae_lambda * advantages[t + 1]
    return advantages


def probes(generator):
    """Return rollouts of one environment, with numbers of one decimal and of both signs."""

    def numbers(size):
        return generator.choice([-1.0, 1.0], size) * generator.integers(5, 40, size) / 10

    calls = []
    for title, (steps, ends, gamma, gae_lambda) in ROLLOUTS.items():
        dones = np.isin(np.arange(steps), ends)
        size = 1e6 if "1e6" in title else 1.0
        arguments = (size * numbers(steps), size * numbers(steps), size * numbers(1)[0], dones)
        calls.append(Probe(title, (*arguments, gamma, gae_lambda)))
    return calls


def oracle(rewards, values, last_value, dones, gamma, gae_lambda):
    """Return for every step the weighted sum of the residuals to the end of its episode."""
    steps = len(rewards)
    reached = [*values[1:], last_value]
    deltas = np.array(
        [rewards[t] - values[t] + (0.0 if dones[t] else gamma * reached[t]) for t in range(steps)]
    )
    answer = np.zeros(steps)
    for t in range(steps):
        ends = t + np.flatnonzero(dones[t:])
        last = ends[0] if len(ends) else steps - 1
        answer[t] = (gamma * gae_lambda) ** np.arange(last + 1 - t) @ deltas[t : last + 1]
    return answer


def variant(
    rewards,
    values,
    last_value,
    dones,
    gamma,
    gae_lambda,
    *,
    cut="own flag",
    bootstrap="going on",
    end="residual",
    trace="gamma lambda",
    last_row="kept",
):
    """Return the advantages by their recursion, with options that commit mistakes."""
    steps, goes_on = len(rewards), 1.0 - dones
    reached = np.append(values[1:], last_value)
    if last_row == "no value":
        reached[-1] = 0.0
    known = {"going on": goes_on, "always": np.ones(steps), "never": np.zeros(steps)}[bootstrap]
    deltas = rewards + gamma * known * reached - values
    if last_row == "masked":
        deltas[-1] *= goes_on[-1]
    inner = dones & (np.arange(steps) < steps - 1)
    if end.startswith("reward"):
        deltas = np.where(dones if end == "reward" else inner, rewards, deltas)
    passes = {
        "own flag": goes_on,
        "never": np.ones(steps),
        "next flag": np.append(goes_on[1:], 1.0),
        "inverted": 1.0 - goes_on,
        "last end": np.ones(steps),
        "minus": 1.0 - 2 * dones,
    }[cut]
    if cut == "last end" and dones.any():
        passes[np.flatnonzero(dones)[-1]] = 0.0
    decay = {
        "gamma lambda": gamma * gae_lambda,
        "gamma": gamma,
        "lambda": gae_lambda,
        "nothing": 0.0,
    }[trace]
    if end.startswith("zero before"):
        deltas = np.where(dones if end == "zero before" else inner, 0.0, deltas)
    if last_row == "zero":
        deltas[-1] = 0.0
    answer, later = np.zeros(steps), 0.0
    for t in reversed(range(steps)):
        answer[t] = later = deltas[t] + decay * passes[t] * later
    if end == "zero":
        answer = answer * goes_on
    if end == "stops" and dones.any():
        answer[: np.flatnonzero(dones)[-1] + 1] = 0.0
    return answer


MISTAKES = catalogue(
    """
    trace_not_cut: cut="never"
        Your advantages before the end of an episode hold residuals of the next one: it is still the
        fault of the blog post. Compare a row where `dones` is true with its own residual. The
        residual knows about the end, but what carries the sum backwards does not.
    cut_by_next_flag: cut="next flag"
        The trace is cut, but one row too early: the row before an end loses its second term, and
        the row of the end still takes in the next episode. A loop that resets its sum after the row
        is written does this, and so does the flag of row t + 1.
    mask_moved: bootstrap="always"
        The trace is cut now, but the residual of an end counts V of the next row, which is the
        first state of another episode. The mask is needed in both places; the first one was right
        as printed.
    mask_gone: bootstrap="always", cut="never"
        Neither the residual nor the trace knows about the end of an episode any more. As printed,
        at least the residual did.
    zero_at_end: end="zero before"
        The advantage is 0 wherever an episode ends, and the rows before lose that step as well.
        What comes from the next row must go; the residual of the last step itself stays, often the
        most important of an episode.
    zeroed_afterwards: end="zero"
        The rows before an end are right, but the advantage of the end itself is set to 0. It is the
        residual of that step.
    reward_at_end: end="reward"
        At an end you write down the reward alone. V of the state that was left must still be
        subtracted: an advantage says how much better than expected the step went.
    zero_at_inner_ends: end="zero before, but last"
        The advantage is 0 wherever an episode ends, unless that is the last row, and the rows
        before lose that step as well. What comes from the next row must go; the residual of the
        step itself stays.
    reward_at_inner_ends: end="reward, but last"
        At an end inside the rollout you write down the reward alone; in the last row you are right.
        V of the state that was left must be subtracted in both.
    stops_at_an_end: end="stops"
        Your loop stops at the first end that it meets on its way back, so all rows up to that one
        hold 0. The episodes before it have advantages too. Only the sum must start anew.
    last_end_only: cut="last end"
        Only the last end of the rollout cuts your trace; across the others it runs on. Every row
        where `dones` is true starts a new sum.
    mask_inverted: cut="inverted"
        Your mask is the wrong way round: the trace goes on where an episode ends, and nowhere else.
        Where no episode ends, you return the residuals alone.
    residuals_only: trace="nothing"
        You return the residuals: nothing is carried backwards at all. That repairs the rows where
        an episode ends and spoils all the others. The probe without an end was right before.
    bootstrap_removed: bootstrap="never"
        V of the next state has left every residual. Only where an episode ends is there nothing to
        expect; the residuals as printed were right.
    lambda_missing: trace="gamma"
        The trace is cut where it should be, but it decays by gamma alone. As printed it decayed by
        both factors, and that was right.
    gamma_missing: trace="lambda"
        The trace is cut where it should be, but it decays by lambda alone. As printed it decayed by
        both factors, and that was right.
    last_value_ignored: last_row="no value"
        The last row lacks `last_value`, the value of the state that the rollout reached. The
        rollout stops there, its episode does not, unless `dones` says so.
    last_row_masked: last_row="masked"
        The ends inside the rollout are right. Where the last row ends an episode you write down 0
        there. What would come from the next row must go; the residual of the step itself stays.
    """
)

SPEC = Spec(
    name="blog_gae",
    exercise="14_reading_code",
    parameters=("rewards", "values", "last_value", "dones", "gamma", "gae_lambda"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    printed=printed,
)
