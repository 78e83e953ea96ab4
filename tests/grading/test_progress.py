"""`progress` says of every task of a notebook whether it is right, wrong or open."""

import numpy as np
import pytest
import torch

from course_lib.grading import specs
from course_lib.grading.progress import as_html, as_text, exercise_in, in_words, progress, standing
from course_lib.grading.states import State

STEM = "01_policy_gradients"


def rewards_to_go(rewards, gamma):
    """A right one."""
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        ahead = found[t] = rewards[t] + gamma * ahead
    return found


def policy_gradient_loss(log_probs, weights):
    """A wrong one: the sign."""
    return (log_probs * weights.detach()).mean()


def entropy_bonus(logits, coefficient) -> torch.Tensor:
    raise NotImplementedError("Write entropy_bonus here.")


NAMES = {f.__name__: f for f in (rewards_to_go, policy_gradient_loss, entropy_bonus)}


def states(names):
    return {verdict.task: verdict.state for verdict in standing(names)}


def test_right_wrong_and_open_are_told_apart():
    found = states(NAMES)
    assert list(found) == [spec.name for spec in specs.of_exercise(STEM)]
    assert found["rewards_to_go"] is State.RIGHT
    assert found["policy_gradient_loss"] in (State.WRONG, State.KNOWN_MISTAKE)
    assert found["entropy_bonus"] is State.NOT_ATTEMPTED


def test_a_task_whose_cell_was_not_run_is_open():
    found = states({"rewards_to_go": rewards_to_go})
    assert found.pop("rewards_to_go") is State.RIGHT
    assert set(found.values()) == {State.NOT_ATTEMPTED}


def test_the_words_count_and_name_every_task():
    verdicts = standing(NAMES)
    assert in_words(verdicts) == "1 of 3 right, 1 wrong, 1 open"
    text, rich = as_text(verdicts), as_html(verdicts)
    for name in NAMES:
        assert name in text
        assert f"<code>{name}</code>" in rich
    assert text.splitlines()[0] == "1 of 3 right, 1 wrong, 1 open"


def test_where_no_task_is_defined_it_says_what_to_do(capsys):
    assert standing({}) == []
    progress()  # this module's functions are tasks, those of an empty notebook are not
    assert "1 of 3 right" in capsys.readouterr().out
    exec("progress()", {"progress": progress})
    assert "No task is defined" in capsys.readouterr().out


def test_what_the_library_itself_holds_is_nobodys_work():
    from course_lib.advantages import gae
    from course_lib.surrogate import surrogate

    assert exercise_in({"gae": gae, "surrogate": surrogate}) == []
    assert exercise_in({"surrogate": surrogate, **NAMES}) == specs.of_exercise(STEM)


def test_the_exercise_is_that_of_most_functions():
    def other():
        """Of an earlier and of a later exercise, so that no order decides."""

    for name in (specs.TASKS[-1].name, "gae"):
        assert exercise_in({name: other, **NAMES}) == specs.of_exercise(STEM)
        assert exercise_in({**NAMES, name: other}) == specs.of_exercise(STEM)
    several = [spec.name for spec in specs.of_exercise("02_advantage_estimation")]
    names = {"rewards_to_go": rewards_to_go} | dict.fromkeys(several, other)
    assert exercise_in(names) == specs.of_exercise("02_advantage_estimation")


@pytest.mark.parametrize("value", [3, "rewards_to_go", None, np])
def test_a_variable_that_is_no_function_is_no_task(value):
    assert standing({"rewards_to_go": value}) == []
