"""Task 12.3: an orthogonal weight matrix, made from a given Gaussian one."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

SHAPES = {
    "tall, two columns": ((3, 2), 1.0),
    "wide, two rows": ((2, 4), 1.0),
    "tall, gain 0.5": ((6, 3), 0.5),
    "wide, gain sqrt 2": ((3, 5), np.sqrt(2.0)),
    "one output, a value network's last layer": ((1, 4), 1.5),
    "one input": ((5, 1), 0.7),
    "square, gain 3": ((4, 4), 3.0),
}


def harness(function, gaussian, gain):
    """Return the shape and both Gram matrices: signs, and rotations of the short side, are free."""
    weight = function(gaussian, gain)
    if weight is None:
        return None
    if hasattr(weight, "detach"):
        weight = weight.detach().numpy()
    try:
        matrix = np.asarray(weight, dtype=float)
    except (TypeError, ValueError):
        return weight, weight, weight
    if matrix.ndim != 2:
        return np.array(matrix.shape), matrix, matrix
    return np.array(matrix.shape), matrix @ matrix.T, matrix.T @ matrix


def probes(generator):
    """Return matrices whose rows or columns are not nearly dependent."""
    calls = []
    for title, (shape, gain) in SHAPES.items():
        gaussian = np.zeros(shape)
        while np.linalg.svd(gaussian)[1].min() < 0.3:
            gaussian = np.round(generator.standard_normal(shape), 2)
        calls.append(Probe(title, (gaussian, float(gain))))
    large = generator.standard_normal((40, 24))
    return [
        *calls,
        Probe("40 outputs, 24 inputs", (large, 1.0)),
        Probe("wide, numbers of about 1e-9", (1e-9 * large[:3, :6], 1.0)),
        Probe("tall, numbers of about 1e9, gain 1e-4", (1e9 * large[:5, :3], 1e-4), 1e-8),
        Probe("wide, gain 1000", (large[5:7, :4], 1000.0)),
        Probe("one number", (np.array([[-0.25]]), 2.0)),
    ]


def oracle(gaussian, gain):
    """Return gain^2 times the identity on the short side, and times a projector on the long one."""
    rows, columns = gaussian.shape
    if rows >= columns:  # onto the space that the columns span
        long = gaussian @ np.linalg.solve(gaussian.T @ gaussian, gaussian.T)
        grams = long, np.eye(columns)
    else:
        long = gaussian.T @ np.linalg.solve(gaussian @ gaussian.T, gaussian)
        grams = np.eye(rows), long
    return np.array(gaussian.shape), gain**2 * grams[0], gain**2 * grams[1]


def variant(
    gaussian,
    gain,
    *,
    wide="transposed",
    power=1.0,
    made="orthonormal",
    source="gaussian",
    turned=False,
):
    """Return the nearest matrix with orthonormal columns or rows, with options for mistakes."""
    matrix = gaussian if source == "gaussian" else np.eye(*gaussian.shape)
    long_axis = int(np.argmax(matrix.shape))
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    with np.errstate(all="ignore"):
        weight = {
            "orthonormal": left @ right,
            "one length": matrix / np.linalg.norm(matrix),
            "largest 1": matrix / sizes[0],
            "nothing": matrix,
            "columns": matrix / np.linalg.norm(matrix, axis=0),
            "rows": matrix / np.linalg.norm(matrix, axis=1, keepdims=True),
            "long vectors": matrix / np.linalg.norm(matrix, axis=long_axis, keepdims=True),
            "fan in": matrix / np.sqrt(matrix.shape[1]),
        }[made]
    weight = weight * gain**power
    return weight.T if turned else weight


def never_transposed(gaussian, gain):
    """Take Q of a wide matrix too: it is square."""
    return gain * np.linalg.qr(gaussian)[0]


def the_other_factor(gaussian, gain):
    """Take R in the place of Q."""
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    other = gain * np.linalg.qr(tall)[1]
    return other if gaussian.shape[0] >= gaussian.shape[1] else other.T


def complete(gaussian, gain):
    """Take the square orthogonal matrix of a complete decomposition."""
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    square = gain * np.linalg.qr(tall, mode="complete")[0]
    return square if gaussian.shape[0] >= gaussian.shape[1] else square.T


def gram_schmidt_without_lengths(gaussian, gain):
    """Make the short side orthogonal, and leave the lengths as they come."""
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    q, r = np.linalg.qr(tall)
    weight = gain * q * np.diag(r)
    return weight if gaussian.shape[0] >= gaussian.shape[1] else weight.T


def wide_filled_up(gaussian, gain):
    """Take Q of a wide matrix too, and fill it up with zeros."""
    q = np.linalg.qr(gaussian)[0]
    return gain * np.pad(q, ((0, 0), (0, gaussian.shape[1] - q.shape[1])))


def wide_not_turned_back(gaussian, gain):
    """Take Q of the transpose of a wide matrix, and leave it tall."""
    return gain * np.linalg.qr(gaussian if len(gaussian) >= gaussian.shape[1] else gaussian.T)[0]


def rows_normalised_afterwards(gaussian, gain):
    """Give the rows of a tall orthonormal Q length 1 as well."""
    tall = gaussian.shape[0] >= gaussian.shape[1]
    q = np.linalg.qr(gaussian if tall else gaussian.T)[0]
    weight = q if tall else q.T
    return gain * weight / np.linalg.norm(weight, axis=1, keepdims=True)


MISTAKES = catalogue(
    """
    wide_not_transposed: never_transposed
        Your tall matrices are right, the wide ones are square: a QR decomposition gives as many
        columns as there can be orthonormal ones. In a wide matrix the rows are to be orthonormal.
        Whose columns are they?
    transposed: turned=True
        Your matrix has rows and columns exchanged. It should have the shape of the matrix that
        comes in, tall or wide.
    gain_missing: power=0.0
        The gain has no effect. The probes with gain 1 are right. What is the length of a column of
        a tall weight matrix with gain 0.5?
    gain_squared: power=2.0
        The gain enters twice. Columns or rows should have the length gain, so that the Gram matrix
        has its square on the diagonal.
    gain_divides: power=-1.0
        You divide by the gain. A larger gain means larger weights: see the probes with gain 0.5 and
        with gain 3.
    not_orthogonal: made="nothing"
        You return the Gaussian matrix itself, times the gain. Its columns have different lengths
        and are not at right angles: look at the entries of the Gram matrix off its diagonal.
    columns_normalised: made="columns"
        Your columns have the right length but are not at right angles: you divide each by its norm.
        That fills the diagonal of the Gram matrix with equal numbers; the others should be 0.
    rows_normalised: made="rows"
        Your rows have the right length but are not at right angles: you divide each by its norm.
        Dividing never turns a vector.
    divided_by_the_norm: made="one length"
        You divide the whole matrix by its norm. That changes its size but no angle. The Gram matrix
        of the short side should be a multiple of the identity.
    divided_by_the_largest_singular_value: made="largest 1"
        You divide the whole matrix by its largest singular value. All of the singular values should
        be equal to the gain, not only the largest.
    scaled_by_fan_in: made="fan in"
        You divide by the root of the number of inputs. That is another initialisation. It gives
        rows of about the right length, but no right angles.
    gaussian_ignored: source="identity"
        Your matrix does not depend on the Gaussian one: it is the identity, cut to shape. It is
        orthogonal, but equal in every network. The space that its columns span should be random.
    the_other_factor: the_other_factor
        You return R of the QR decomposition. It is triangular and square. Which of the two factors
        has orthonormal columns?
    complete_decomposition: complete
        Your matrix is square: the decomposition has added columns to those that come in. Ask for
        the reduced form, or keep only the first columns.
    lengths_left: gram_schmidt_without_lengths
        Your columns, or rows, are at right angles, but their lengths are what the projections left
        of them. Off the diagonal the Gram matrix is right, on it the numbers differ.
    lengths_without_angles: made="long vectors"
        Your columns, in a wide matrix your rows, have the right length but are not at right angles.
        Dividing a vector by its norm never turns it. Look off the diagonal of the smaller Gram
        matrix.
    wide_filled_up: wide_filled_up
        Your wide matrices hold columns of zeros. QR gives orthonormal columns, and a wide matrix
        cannot have as many as it is wide. Its rows are to be orthonormal: what do they become when
        you transpose?
    not_transposed_back: wide_not_turned_back
        Your wide matrices come back tall. You transpose on the way in, as one should, and forget it
        on the way out.
    root_of_the_gain: power=0.5
        Your columns or rows have the root of the gain as their length. It is the Gram matrix that
        holds the square of the gain; the matrix itself is scaled by the gain as it is.
    rows_normalised_afterwards: rows_normalised_afterwards
        Your wide matrices are right. In a tall one you divide every row by its norm at the end, and
        that spoils the right angles of the columns. Only the short side can be orthonormal.
    """,
    never_transposed,
    the_other_factor,
    complete,
    gram_schmidt_without_lengths,
    wide_filled_up,
    wide_not_turned_back,
    rows_normalised_afterwards,
)

SPEC = Spec(
    name="orthogonal_init",
    exercise="12_implementation_matters",
    parameters=("gaussian", "gain"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("shape of the weight matrix", "product W W^T", "product W^T W"),
    rows="row",
)
