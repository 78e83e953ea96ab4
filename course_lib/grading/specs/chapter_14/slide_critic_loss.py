"""Task 14.2: repair the critic's loss of a lecture slide."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import gradient, tensor
from ...spec import Probe, Spec
from ..draws import signed

SIZES = {"three states": 3, "one state": 1, "two states": 2, "nine states": 9}


def printed(predictions, targets):
    """Return a loss in which every prediction meets every target."""
    errors = predictions - targets
    return (errors**2).mean()


def harness(function, predictions, targets):
    """Return the loss and its gradient."""
    predictions, targets = tensor(predictions, True), tensor(targets)
    loss = function(predictions, targets)
    return loss, gradient(loss, predictions)


def probes(generator):
    """Return predictions (B, 1) near their targets (B,), and one exact critic."""
    calls = []
    for title, size in SIZES.items():
        targets = generator.permutation(np.arange(-60, 80))[:size] / 10
        errors = generator.choice([-1.0, 1.0], size) * generator.integers(3, 15, size) / 10
        calls.append(Probe(title, ((targets + errors)[:, None], targets)))
    targets = np.append(generator.integers(-50, -10, size=2), generator.integers(10, 50, 3)) / 10
    title = "a critic that is right in all five states"
    calls.append(Probe(title, (targets[:, None].copy(), targets)))
    many, errors = signed(generator, 5, 60, 250), signed(generator, 3, 90, 250)
    for title, size in (("250 states", 1.0), ("errors of about 1e6", 2.0**20)):
        calls.append(Probe(title, (size * (many + errors)[:, None], size * many)))
    few = 2.0**-30 * errors[:4]
    return [*calls, Probe("errors of about 1e-9", (few[:, None], 0 * few), 1e-18)]


def oracle(predictions, targets):
    """Return the mean squared error, state by state, and its slope on paper."""
    size = len(targets)
    errors = [float(predictions[i, 0] - targets[i]) for i in range(size)]
    return sum(e * e for e in errors) / size, np.array([[2 * e / size] for e in errors])


def variant(
    predictions,
    targets,
    *,
    pairs="own",
    average="mean",
    factor=1.0,
    power="square",
    cut=False,
):
    """Return the loss by autograd from a column of errors, with options that commit mistakes."""
    column = targets.unsqueeze(1)
    errors = {
        "own": predictions - column,
        "all": predictions - column.T,
        "mean target": predictions - column.mean(),
        "mean prediction": predictions.mean() - column,
        "means": (predictions - column).mean(),
        "sums": (predictions - column.T).sum(dim=1),
        "first prediction": predictions[0] - column,
        "first target": predictions - column[0],
    }[pairs]
    values = {
        "square": errors * errors,
        "absolute": errors.abs(),
        "none": errors,
    }[power]
    loss = values.sum() if average == "sum" else values.mean()
    if average == "per row":
        loss = values.sum() / len(targets)
    if power == "root":
        loss = loss.sqrt()
    loss = factor * loss
    return loss.detach() if cut else loss


def deviation(predictions, targets):
    """Take the mean square of the errors without their mean."""
    errors = predictions.squeeze(-1) - targets
    return (errors - errors.mean()).square().mean()


MISTAKES = catalogue(
    """
    every_prediction_meets_every_target: pairs="all"
        Each prediction is compared with the targets of all states: it is still the fault of the
        slide. The critic that is right in all five states must have loss 0, and yours has not.
        Print the shape of the errors before they are averaged.
    all_pairs_summed: pairs="all", average="sum"
        Each prediction is still compared with the targets of all states, and now the errors of all
        pairs are added up. The division was never at fault. Print the shape of the errors before
        they are summed.
    all_pairs_per_row: pairs="all", average="per row"
        Each prediction is still compared with the targets of all states; only the number by which
        you divide has changed. A critic that is right in all states must have loss 0.
    errors_summed_first: pairs="sums"
        You add up the errors of one prediction against all targets, and square the sum. The axis
        that is summed away there should never have come to be.
    mean_target: pairs="mean target"
        You compare every prediction with the mean of all targets. Its gradient is exactly that of
        the slide's fault: the critic learns one number for all states.
    mean_prediction: pairs="mean prediction"
        You compare every target with the mean of all predictions. The axis of length 1 is the one
        that has to go, not the one that counts states.
    difference_of_means: pairs="means"
        You average before you square, so errors of different sign cancel: a critic that is wrong
        everywhere can have loss 0. Which of the two comes first?
    first_prediction: pairs="first prediction"
        You compare all targets with the prediction for the first state: an index took a row where
        it should have taken a column. The other predictions have no gradient.
    first_target: pairs="first target"
        You compare all predictions with the target of the first state. Each state has its own.
    sum_over_states: average="sum"
        Each prediction meets its own target now, but the squares are added up. Asked for is their
        mean, as it stood on the slide.
    half: factor=0.5
        Your loss is half of what is asked for. The factor one half is common, and the library uses
        it, but it is not in this task.
    absolute_error: power="absolute"
        You average the sizes of the errors, not their squares. A critic that minimises that learns
        the median of the returns.
    not_squared: power="none"
        You average the errors themselves: the square is lost. Such a loss has no minimum.
    errors_centred: deviation
        You subtract the mean error first. A critic that is too high by 10 everywhere would have
        loss 0. With one state your loss is always 0.
    detached: cut=True
        The loss is the right number, but it has no gradient: the critic would never learn. The
        shape can be changed without leaving the graph.
    """,
    deviation,
)

SPEC = Spec(
    name="slide_critic_loss",
    exercise="14_reading_code",
    parameters=("predictions", "targets"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("loss", "gradient with respect to `predictions`"),
    rows="state",
    printed=printed,
)
