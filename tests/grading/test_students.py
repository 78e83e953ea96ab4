"""What students really wrote: the judge must name the one cause, and print a message once."""

import numpy as np
import pytest
import tasks

from course_lib.grading import specs
from course_lib.grading.inline import judge_here
from course_lib.grading.states import State

GAE = "def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):"
N_STEP = "def n_step_advantages(rewards, values, next_values, terminated, truncated, gamma, n):"
RETURNS = "def discounted_returns(rewards, next_values, terminated, truncated, gamma):"
DELTA = "d = rewards + gamma * (1 - terminated) * next_values - values\n"
LOOP = "f, out = 0, np.zeros_like(rewards)\nfor t in reversed(range(len(rewards))):\n"
CASES = """
T, N = rewards.shape
G = np.zeros((T, N))
for i in range(N):
    for t in reversed(range(T)):
        if {first}:
            G[t, i] = rewards[t, i]{one}
        elif {second}:
            G[t, i] = rewards[t, i]{other}
        else:
            G[t, i] = rewards[t, i] + gamma * G[t + 1, i]
return G
"""
ENDED, CUT = "terminated[t, i]", "truncated[t, i] or t == T - 1"
VALUE = " + gamma * next_values[t, i]"

WRITTEN = {
    "gae, forward": (
        GAE,
        DELTA
        + LOOP.replace("reversed(range(len(rewards)))", "range(len(rewards))")
        + "    out[t] = f = d[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * f\nreturn out",
        "forward_loop",
    ),
    "gae, flags subtracted": (
        GAE,
        DELTA
        + LOOP
        + "    out[t] = f = d[t] + gamma * gae_lambda * (1 - terminated[t] * 1 - truncated[t]) * f\n"
        "return out",
        "flags_subtracted",
    ),
    "gae, no terminated": (
        GAE,
        DELTA.replace("(1 - terminated) * ", "")
        + LOOP
        + "    out[t] = f = d[t] + gamma * gae_lambda * (1 - truncated[t]) * f\nreturn out",
        "terminated_ignored",
    ),
    "gae, normalised": (
        GAE,
        DELTA
        + LOOP
        + "    out[t] = f = d[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * f\n"
        "return (out - out.mean()) / out.std()",
        "normalised_at_the_end",
    ),
    "gae, global gamma": (
        GAE.replace(" gamma,", " g,"),
        DELTA
        + LOOP
        + "    out[t] = f = d[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * f\nreturn out",
        "example_gamma",
    ),
    "gae, global both": (
        GAE.replace("gamma, gae_lambda", "g, lam"),
        DELTA
        + LOOP
        + "    out[t] = f = d[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * f\nreturn out",
        "example_gamma_gae_lambda",
    ),
    "n-step, asks before it adds": (
        N_STEP,
        DELTA + "a = np.zeros_like(d)\n"
        "for t, i in np.ndindex(d.shape):\n"
        "    for k in range(t, min(t + n, len(d))):\n"
        "        if terminated[k, i] or truncated[k, i]:\n"
        "            break\n"
        "        a[t, i] += gamma ** (k - t) * d[k, i]\n"
        "return a",
        "end_left_out",
    ),
    "n-step, flags subtracted": (
        N_STEP,
        DELTA + "a = d.copy()\n"
        "for _ in range(n - 1):\n"
        "    a[:-1] = d[:-1] + gamma * (1.0 - terminated - truncated)[:-1] * a[1:]\n"
        "return a",
        "flags_subtracted",
    ),
    "returns, cut asked first": (
        RETURNS,
        CASES.format(first=CUT, one=VALUE, second=ENDED, other=""),
        "cut_asked_first",
    ),
    "returns, last row set before the loop": (
        RETURNS,
        CASES.format(first=f"{ENDED} and t < T - 1", one="", second=CUT, other=VALUE),
        "last_row_always_bootstraps",
    ),
    "returns, no terminated": (
        RETURNS,
        CASES.format(first="False", one="", second=CUT, other=VALUE),
        "terminated_ignored",
    ),
    "returns, no next_values": (
        RETURNS,
        CASES.format(first=ENDED, one="", second=CUT, other=""),
        "values_ignored",
    ),
    "returns, forward from the last value": (
        RETURNS,
        LOOP.replace("reversed(range(len(rewards)))", "range(len(rewards))").replace(
            "f, out = 0", "f, out = next_values[-1]"
        )
        + "    f = np.where(truncated[t], next_values[t], f)\n"
        "    out[t] = f = rewards[t] + gamma * np.where(terminated[t], 0, f)\nreturn out",
        "forward_loop",
    ),
    "returns, reversed cumulative sum": (
        RETURNS,
        "return np.cumsum(rewards[::-1], axis=0)[::-1]",
        "cumulative_sum",
    ),
    "returns, flags subtracted": (
        RETURNS,
        LOOP.replace("f, out = 0", "f, out = next_values[-1]")
        + "    goes_on = 1.0 - terminated[t] - truncated[t]\n"
        "    out[t] = f = rewards[t] + gamma * (truncated[t] * next_values[t] + goes_on * f)\n"
        "return out",
        "flags_subtracted",
    ),
    "normalize, epsilon hard-coded": (
        "def normalize(x, epsilon=1e-8):",
        "return (x - x.mean()) / (x.std() + 1e-8)",
        "epsilon_ignored",
    ),
    "normalize, a floor": (
        "def normalize(x, epsilon=1e-8):",
        "return (x - x.mean()) / max(x.std(), epsilon)",
        "epsilon_as_floor",
    ),
}


def judged(head, body):
    """Judge a function where the notebook's own variables are still around."""
    names = {"np": np, "gamma": 0.5, "gae_lambda": 0.8}
    exec(head + "\n" + "\n".join("    " + line for line in body.strip().split("\n")), names)
    return judge_here(names[head[4:].split("(")[0]], names)


@pytest.mark.parametrize("case", WRITTEN)
def test_the_one_cause_is_named(case):
    head, body, mistake = WRITTEN[case]
    verdict = judged(head, body)
    assert verdict.mistakes == (mistake,), verdict.as_text()
    assert verdict.headline == ""


@pytest.mark.parametrize(
    ("task", "source", "mistake"),
    [(task, *case) for task, cases in tasks.WRITTEN.items() for case in cases],
)
def test_what_students_write_is_called_by_its_name(task, source, mistake, solution_names):
    names = {"np": np} | solution_names[task]  # not every exercise imports it
    exec(source, names)
    verdict = judge_here(names[task], names)
    assert verdict.mistakes == (mistake,), verdict.as_text()


def test_probes_are_listed_one_per_line_with_their_numbers():
    body = "d = np.array(rewards)\nd[terminated & ~truncated] = 7.5\n"
    text = body + "for t in range(len(d) - 1):\n    d[t] *= 1 + truncated[t + 1]\nreturn d * 1.3"
    verdict = judged(RETURNS, text)
    assert verdict.headline == "It differs on all 13 probes."
    assert "no episode ends" not in verdict.hint
    right = CASES.format(first=ENDED, one=" + 0.5 * truncated[t, i]", second=CUT, other=VALUE)
    verdict = judged(RETURNS, right)
    probes = specs.SPECS["discounted_returns"].draw()
    assert verdict.headline == "It differs on 1 of 13 probes."
    lines = verdict.hint.splitlines()
    assert len(lines) == len(probes)
    for number, (line, probe) in enumerate(zip(lines, probes, strict=True), start=1):
        state = "wrong" if number == 6 else "right"
        assert line == f"{state} on probe {number}: {probe.title}"


@pytest.mark.parametrize(
    ("body", "probe", "words"),
    [
        ("return rewards[0]", 1, "An axis is missing"),
        (
            CASES.format(first=ENDED, one="", second=CUT, other=VALUE).replace(
                "return G", "return G / (1 - truncated.any() * 1.0)"
            ),
            3,
            "division by zero",
        ),
        ("return rewards if len(rewards) < 5 else rewards[:-1]", 2, "a row or a column"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_probe_of_a_message_is_printed_once_and_is_the_right_one(body, probe, words):
    verdict = judged(RETURNS, body)
    assert verdict.state is State.WRONG
    assert words in verdict.hint
    assert verdict.evidence.startswith(f"Probe {probe} of 13: ")
    assert verdict.as_text().lower().count("probe") == 1


def test_an_expected_nan_does_not_hide_the_pattern_of_the_other_numbers():
    spec = specs.SPECS["explained_variance"]

    def judged_with(change):
        def explained_variance(values, targets):
            return change(float(spec.oracle(values, targets)))

        return judge_here(explained_variance).headline

    assert "2 times the right ones" in judged_with(lambda answer: 2 * answer)
    assert "All its numbers are 0" not in judged_with(lambda answer: answer + 0.4)
    assert "off by up to 0.001" in judged_with(lambda answer: answer + 0.001)
