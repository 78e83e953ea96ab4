"""What a function does to its caller is seen, whatever it has put in the place of our means."""

import builtins
import types

import numpy as np
import pytest

from course_lib.grading.inline import judge_here
from course_lib.grading.judge import judge_notebook
from course_lib.grading.sandbox import tools, watch
from course_lib.grading.specs import SPECS
from course_lib.grading.states import State

LOSS = "    loss = -(log_probs * weights.detach()).mean()\n"
SUMS = """
    out, total = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * total
        out[t] = total
"""
TO_THE_CALLER = {  # the body, and what the judge must say
    "in place": ("policy_gradient_loss", LOSS + "    weights.data *= 2", "`weights` in place"),
    "other memory": (
        "policy_gradient_loss",
        LOSS + "    weights.data = weights.data + 1",
        "`weights` in place",
    ),
    "left behind": (
        "policy_gradient_loss",
        LOSS + "    loss.backward(retain_graph=True)",
        "the `.grad` of its argument `log_probs`",
    ),
    "cleared": (
        "policy_gradient_loss",
        LOSS + "    log_probs.grad = None",
        "the `.grad` of its argument `log_probs`",
    ),
    "filled": (
        "policy_gradient_loss",
        LOSS + "    log_probs.grad.zero_()",
        "the `.grad` of its argument `log_probs`",
    ),
    "array": ("rewards_to_go", SUMS + "    rewards[:] = out", "`rewards` in place"),
}


def source(case, patches=""):
    """Return a notebook's cell, with patches made at the end of every call."""
    name, body, _ = TO_THE_CALLER[case]
    head = f"def {name}({', '.join(SPECS[name].parameters)}):\n"
    body = body if body.startswith("\n") else "\n" + body
    inside = "".join(f"    {line}\n" for line in patches.splitlines())
    answer = "out" if name == "rewards_to_go" else "loss"
    return f"import numpy as np\nimport torch\n\n{head}{body}\n{inside}    return {answer}\n"


@pytest.mark.parametrize("case", TO_THE_CALLER)
def test_what_a_function_does_to_its_caller_is_told(case):
    name, _, words = TO_THE_CALLER[case]
    names: dict = {}
    exec(source(case), names)
    verdict = judge_here(names[name])
    assert verdict.state is State.WRONG
    assert words in verdict.as_text()


@pytest.mark.parametrize("case", TO_THE_CALLER)
def test_a_patched_python_hides_nothing(case, write_notebook, sandbox):
    (verdict,) = judge_notebook(
        write_notebook(source(case, "import builtins\nbuiltins.repr = lambda x: ''")),
        [SPECS[TO_THE_CALLER[case][0]]],
        sandbox,
    )
    assert TO_THE_CALLER[case][2] in verdict.as_text()


def test_looking_uses_no_name_that_can_be_replaced():
    """With every builtin gone that a report could be passed by, the watcher still tells."""
    arguments = [np.zeros(3), {"a": [np.ones(2), 1.5]}, (1, True, None, "x"), np.zeros(2)]
    begin, end = watch.watcher()
    begin(arguments)
    tools.watched(arguments[3])
    arguments[1]["a"][0][1] = 3.0
    arguments[3][0] = 1.0
    own = dict(vars(builtins))
    silent = dict.fromkeys(
        ("repr", "zip", "enumerate", "len", "id", "type", "range"), lambda *x: ""
    )
    try:
        vars(builtins).update(silent)
        told = end()
    finally:
        vars(builtins).update(own)
    assert told == {"changed": [1, 3], "gradients": []}


def test_lists_and_namespaces_are_looked_into():
    begin, end = watch.watcher()
    arguments = [[np.zeros(2)], 1.0]
    begin(arguments)
    made = tools.watched(types.SimpleNamespace(batch=[np.zeros(1)], rate=0.5))
    assert end() == {"changed": [], "gradients": []}
    made.rate = 0.25
    arguments[0].pop()
    assert end() == {"changed": [0, -1], "gradients": []}
