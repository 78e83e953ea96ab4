"""Task 5.2: the Fisher matrix as the second moment of the scores."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed

# Samples, parameters, whether the rows have weights, scale of the scores.
SCENES = {
    "one sample, two parameters": (1, 2, False, 1.0),
    "three samples, two parameters": (3, 2, False, 1.0),
    "eight samples, three parameters": (8, 3, False, 1.0),
    "fewer samples than parameters": (3, 5, False, 1.0),
    "three rows with their probabilities": (3, 2, True, 1.0),
    "six rows with their probabilities": (6, 4, True, 1.0),
    "scores around a million": (5, 2, False, 1e6),
    "scores around 1e-6": (4, 3, False, 1e-6),
    "thirty-one rows with their probabilities, one of them 0": (31, 7, True, 1.0),
}


def harness(function, scores, *weights):
    """Return the matrix; the weights are left out where there are none."""
    return function(tensor(scores), *(tensor(w) for w in weights))


def probes(generator):
    """Return scores whose mean is not 0, and probabilities that are not equal."""
    calls = []
    for title, (rows, parameters, weighted, scale) in SCENES.items():
        scores = signed(generator, 5, 30, (rows, parameters))
        scores += np.arange(1, parameters + 1) / 2  # a sample's mean is rarely 0
        # Every column differs from its mean, and the mean from 0.
        scores[:, 0] += np.arange(rows)
        shares = generator.permutation(np.arange(1, rows + 1) ** 1.5)
        shares[0] *= "one of them 0" not in title
        weights = [shares / shares.sum()] if weighted else []
        calls.append(Probe(title, (scale * scores, *weights), scale**2, scale != 1.0))
    return calls


def oracle(scores, weights=None):
    """Return every entry as the expectation of a product of two scores."""
    rows, parameters = scores.shape
    p = np.full(rows, 1.0 / rows) if weights is None else weights
    fisher = np.zeros((parameters, parameters))
    for i in range(parameters):
        for j in range(parameters):
            fisher[i, j] = sum(p * scores[:, i] * scores[:, j])
    return fisher


def variant(
    scores,
    weights=None,
    *,
    centre="zero",
    divide="rows",
    weigh="once",
    part="all",
    product="outer",
    sign=1.0,
):
    """Return the matrix as a weighted sum of outer products, with options that commit mistakes."""
    import torch

    rows, parameters = scores.shape
    uniform = (
        torch.ones(rows, dtype=scores.dtype)
        / {
            "rows": rows,
            "rows - 1": rows - 1,
            "nothing": 1,
            "parameters": parameters,
            "entries": rows * parameters,
        }[divide]
    )
    p = uniform
    if weights is not None:
        p = {
            "once": weights,
            "never": uniform,
            "sum": torch.ones_like(weights),
            "twice": weights**2,
            "and mean": weights * uniform,
        }[weigh]
    mean = (scores.mean(dim=0) if weights is None else weights @ scores) if centre == "mean" else 0
    scores = scores - mean
    if product == "of means":
        first = p @ scores
        return sign * torch.outer(first, first)
    if product == "gram":
        return sign * torch.einsum("ai,bi,a->ab", scores, scores, p)
    fisher = torch.einsum("b,bi,bj->ij", p, scores, scores)
    if part == "diagonal":
        fisher = torch.diag(torch.diag(fisher))
    if part == "vector":
        fisher = torch.diag(fisher)
    return sign * fisher


MISTAKES = catalogue(
    """
    mean_subtracted: centre="mean"
        You subtract the mean of the sample from the scores first. The expectation of a score is
        known: it is 0, so nothing has to be estimated. With one sample yours is a matrix of zeros.
    rows_minus_one: divide="rows - 1"
        Without weights you divide by the number of samples minus one. That correction pays for a
        mean estimated from the same data, and here none is. With one sample you divide by 0.
    sum_over_rows: divide="nothing"
        Without weights your matrix is too large by the number of samples: it is a sum. The Fisher
        matrix is an expectation, and more data must not make it grow.
    divided_by_parameters: divide="parameters"
        Without weights you divide by the number of parameters. Which axis counts the samples? `len`
        of a matrix and of its transpose are two different numbers.
    divided_by_all_entries: divide="entries"
        Without weights you divide by the number of all entries of `scores`. The mean is over the
        samples alone; the parameters are the axes of the matrix.
    outer_product_of_the_mean: product="of means"
        You average the scores first and multiply afterwards. With one sample that is the same.
        Otherwise the result has rank 1 whatever the data are, and it shrinks to 0 as the samples
        grow in number. Which comes first, the product or the mean?
    samples_by_samples: product="gram"
        Your matrix has a row and a column for every sample: it holds the products of whole score
        vectors with each other. The Fisher matrix has a row and a column for every parameter.
    diagonal_matrix: part="diagonal"
        Only the diagonal is filled. Two parameters that move the policy in similar ways have a
        product of scores that is not 0 on average, and those entries are what sets the natural
        gradient apart from a rescaled one.
    diagonal_only: part="vector"
        You return the mean of the squared scores, one number per parameter: the diagonal of the
        matrix. Each score has to meet every other one, not itself alone.
    weights_ignored: weigh="never"
        The weights have no effect: where they are given, yours is the plain mean. The probes
        with probabilities are wrong. How often does each row occur?
    sum_where_weighted: weigh="sum"
        Where weights are given they have no effect, and nothing divides the sum: every row counts
        fully. The weights are probabilities, and rare rows must count less.
    weights_twice: weigh="twice"
        Each row is weighed by the square of its probability. A probability belongs to a product of
        scores, not to each factor. Check: with weights that sum to 1 and all scores equal, the
        matrix is their outer product.
    weights_and_mean: weigh="and mean"
        Where weights are given you weigh the rows and divide by their number as well. The weights
        sum to 1, so they are the mean already. Your matrix is too small there by the number of
        rows.
    sign: sign=-1.0
        All your numbers have the wrong sign. A minus belongs to the other form of the Fisher
        matrix, the expected Hessian of the log-probability. Squares on the diagonal are never
        negative.
    """
)

SPEC = Spec(
    name="fisher_from_scores",
    exercise="05_kl_geometry",
    parameters=("scores", "weights"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    rows="parameter",
)
