"""Task 15.2: rewards normalised in their group, or centred only."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from .answers import groups


def probes(generator):
    """Return groups of rewards, divided and not, with epsilons that matter."""
    calls = []
    for number, (title, rewards) in enumerate(groups(generator).items()):
        divide = number not in (1, 6)
        epsilon = (0.5, 0.2, 0.0, 1e-6, 0.1, 1.0, 1e-4, 0.25)[number]
        how = f"epsilon {epsilon:g}" if divide else "not divided"
        calls.append(Probe(f"{title}; {how}", (rewards, divide, epsilon)))
    tiny = 1e-8 * np.array([[1.0, 3.0, 2.0, 6.0]])
    calls.append(Probe("rewards of about 1e-8; epsilon 1e-9", (tiny, True, 1e-9)))
    return calls


def oracle(rewards, divide, epsilon):
    """Return it row by row, the deviation from the squared differences of all pairs."""
    answer = np.zeros(rewards.shape)
    for n, row in enumerate(rewards):
        centred = np.array([np.mean(r - row) for r in row])
        pairs = np.mean((row[:, None] - row) ** 2) / 2
        answer[n] = centred / (np.sqrt(pairs) + epsilon) if divide else centred
    return answer


def variant(
    rewards,
    divide,
    epsilon,
    *,
    centre="group",
    spread="group",
    where="outside",
    ddof=0,
    group="row",
):
    """Return it with NumPy's moments, with options that commit mistakes."""
    x = rewards.T if group == "column" else rewards
    mean = {
        "group": x.mean(1, keepdims=True),
        "batch": x.mean(),
        "nothing": 0.0,
        "others": (x.sum(1, keepdims=True) - x) / max(x.shape[1] - 1, 1),
    }[centre]
    with np.errstate(all="ignore"):
        deviation = {
            "group": x.std(1, ddof=min(ddof, x.shape[1] - 1), keepdims=True),
            "batch": x.std(),
            "variance": x.var(1, keepdims=True),
            "range": np.ptp(x, axis=1)[:, None],
        }[spread]
        below = deviation + epsilon
        if where == "in the root":
            below = np.sqrt(deviation**2 + epsilon)
        if where == "maximum":
            below = np.maximum(deviation, epsilon)
        answer = (x - mean) / below if divide else x - mean
    return answer.T if group == "column" else answer


MISTAKES = catalogue(
    """
    sample_deviation: ddof=1
        Your deviation divides by the number of answers less one. Here it is that of the group
        itself: the root of the mean squared distance. In groups of two the difference is largest.
    variance: spread="variance"
        You divide by the variance. Double all rewards: normalised advantages should hardly change,
        yours halve. Which power is missing?
    deviation_of_the_batch: spread="batch"
        You divide all groups by one deviation, that of the whole batch. Each prompt has its own:
        see the prompts of very different scale.
    mean_of_the_batch: centre="batch"
        You subtract one mean from all groups. Each row is centred by itself; see the probe with
        several prompts.
    normalised_across_prompts: group="column"
        You normalise down the columns. Answers to one prompt stand in one row.
    not_centred: centre="nothing"
        Your advantages are not centred: in each group they should add up to 0.
    others_as_baseline: centre="others"
        You centre with the mean of the other answers. That was the task before. GRPO subtracts the
        mean of the whole group.
    epsilon_in_the_root: where="in the root"
        You add epsilon below the root. It is added to the deviation, after the root: see the first
        probe, where it is large.
    epsilon_as_a_floor: where="maximum"
        You use epsilon as the least deviation. It is added to every deviation.
    epsilon_fixed: ignores(epsilon=1e-6)
        Your answers do not depend on epsilon as they should. It is an argument, and it may be
        large or 0.
    range: spread="range"
        You divide by the difference between the best and the worst reward. A deviation is the root
        of the mean squared distance.
    always_divided: ignores(divide=True)
        You always divide. Where `divide` is false the advantages are centred only.
    never_divided: ignores(divide=False)
        You never divide. Where `divide` is true the group's deviation, plus epsilon, divides.
    """
)

SPEC = Spec(
    name="grpo_advantages",
    exercise="15_language_models",
    parameters=("rewards", "divide", "epsilon"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="prompt",
)
