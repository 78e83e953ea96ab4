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
    "square, gain 0.8": ((3, 3), 0.8),
    "square, gain 3": ((4, 4), 3.0),
}


def harness(function, gaussian, gain, other):
    """Return whether the weights follow from the Gaussian matrix, their shape, both Gram matrices.

    Signs, and rotations of the short side, are free: the Gram matrices do not change. In a square
    matrix they are the same for every basis. So it is asked, too, whether the same matrix gives the
    same weights, and `other` weights of other sizes, which no sign or permutation makes. Where they
    do not follow from the Gaussian matrix, their products tell nothing, and are 0.
    """

    def weights_of(matrix):
        weights = function(matrix, gain)
        if hasattr(weights, "detach"):
            weights = weights.detach().numpy()
        try:
            return None if weights is None else np.array(weights, dtype=float)
        except (TypeError, ValueError):
            return weights

    def alike(one, two, **options):
        if not isinstance(two, np.ndarray) or one.shape != two.shape:
            return False
        nearly = 1e-3 * np.abs(one[np.isfinite(one)]).max(initial=0.0)
        return np.allclose(one, two, 0.0, nearly, **options)

    copied = gaussian.copy()
    weights = weights_of(gaussian)
    if weights is None:
        return None
    if not isinstance(weights, np.ndarray):
        return 1.0, 1.0, weights, weights, weights
    again = weights_of(copied)
    if gaussian.size == 1 and isinstance(again, np.ndarray):  # the sign of one number is free
        repeats = alike(np.abs(weights), np.abs(again), equal_nan=True)
    else:
        repeats = alike(weights, again, equal_nan=True)
    another = weights_of(other.copy())
    differs = not isinstance(another, np.ndarray) or not alike(
        np.sort(np.abs(weights), axis=None), np.sort(np.abs(another), axis=None)
    )
    facts = float(repeats), float(repeats and differs), np.array(weights.shape)
    if weights.ndim != 2:
        return *facts, weights, weights
    follows = repeats and (differs or gaussian.size == 1)
    products = weights @ weights.T, weights.T @ weights
    return *facts, *(product if follows else np.zeros_like(product) for product in products)


def drawn(generator, shape):
    """Return a Gaussian matrix whose rows or columns are not nearly dependent."""
    gaussian = np.zeros(shape)
    while np.linalg.svd(gaussian)[1].min() < 0.3:
        gaussian = np.round(generator.standard_normal(shape), 2)
    return gaussian


def probes(generator):
    """Return Gaussian matrices, each with a second one of its shape."""
    calls = []
    for title, (shape, gain) in SHAPES.items():
        gaussian, other = drawn(generator, shape), drawn(generator, shape)
        calls.append(Probe(title, (gaussian, float(gain), other)))
    large, larger = generator.standard_normal((2, 40, 24))
    nano, giga = 1e-9, 1e9
    return [
        *calls,
        Probe("40 outputs, 24 inputs", (large, 1.0, larger)),
        Probe("wide, numbers of about 1e-9", (nano * large[:3, :6], 1.0, nano * larger[:3, :6])),
        Probe(
            "tall, numbers of about 1e9, gain 1e-4",
            (giga * large[:5, :3], 1e-4, giga * larger[:5, :3]),
            1e-8,
        ),
        Probe("wide, gain 1000", (large[5:7, :4], 1000.0, larger[5:7, :4])),
        # Whatever is random in one number is its sign, and signs are free.
        Probe("one number", (np.array([[-0.25]]), 2.0, np.array([[0.5]])), extreme=True),
    ]


def oracle(gaussian, gain, other):
    """Return gain^2 times the identity on the short side, and times a projector on the long one.

    The same matrix gives the same weights; another matrix, of more than one number, others.
    """
    rows, columns = gaussian.shape
    if rows >= columns:  # onto the space that the columns span
        long = gaussian @ np.linalg.solve(gaussian.T @ gaussian, gaussian.T)
        grams = long, np.eye(columns)
    else:
        long = gaussian.T @ np.linalg.solve(gaussian @ gaussian.T, gaussian)
        grams = np.eye(rows), long
    facts = 1.0, float(gaussian.size > 1), np.array(gaussian.shape)
    return *facts, gain**2 * grams[0], gain**2 * grams[1]


def variant(
    gaussian,
    gain,
    *,
    power=1.0,
    made="orthonormal",
    source="gaussian",
    square="as the others",
    turned=False,
):
    """Return the nearest matrix with orthonormal columns or rows, with options for mistakes."""
    if square != "as the others" and gaussian.shape[0] == gaussian.shape[1]:
        source = square
    matrix = {
        "gaussian": gaussian,
        "identity": np.eye(*gaussian.shape),
        "own numbers": np.random.default_rng().standard_normal(gaussian.shape),
    }[source]
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


def turned_at_random(gaussian, gain):
    """Turn the short side of a right answer by a rotation that is drawn."""
    weight = variant(gaussian, gain)
    short = min(gaussian.shape)
    rotation = np.linalg.qr(np.random.default_rng().standard_normal((short, short)))[0]
    return weight @ rotation if gaussian.shape[1] == short else rotation @ weight


def reshaped(gaussian, gain, *, into, back, signs=False):
    """Reshape a wide matrix where it should be transposed: on the way in, on the way back."""
    rows, columns = gaussian.shape
    if rows >= columns:
        return gain * np.linalg.qr(gaussian)[0]
    q, r = np.linalg.qr(gaussian.reshape(columns, rows) if into else gaussian.T)
    if signs:
        q = q * np.sign(np.diag(r))
    return gain * (q.reshape(rows, columns) if back else q.T)


def sliced(gaussian, gain, *, tall=False, svd=False):
    """Take rows of a complete square matrix where its columns hold the basis."""
    rows, columns = gaussian.shape
    if rows >= columns:
        complete = np.linalg.qr(gaussian, mode="complete")[0]
        return gain * (complete[:columns].T if tall else complete[:, :columns])
    if svd:
        return gain * np.linalg.svd(gaussian)[2].T[:rows]
    return gain * np.linalg.qr(gaussian.T, mode="complete")[0][:rows]


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
        Your weights are the same whatever the Gaussian matrix is: an identity cut to shape, say, or
        random numbers from a seed of your own. Every network would start alike. What your columns
        or rows span should be what those of the Gaussian matrix span.
    gaussian_ignored_where_square: square="identity"
        Your square weights are the same whatever the Gaussian matrix is. Every basis spans the same
        space there, so an identity has the right products, but it is equal in every network. Square
        matrices need no rule of their own.
    own_random_numbers: source="own numbers"
    own_random_basis: turned_at_random
        You draw random numbers of your own: called twice with the same Gaussian matrix, your
        function returns two different matrices. The Gaussian matrix is the only source of
        randomness; what is asked for is computed from it.
    own_random_numbers_where_square: square="own numbers"
        In a square matrix you draw random numbers of your own: called twice with the same Gaussian
        matrix, your function returns two different matrices. The Gaussian matrix is the only source
        of randomness.
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
    reshaped_on_the_way_in: reshaped(into=True, back=False)
        In your wide matrices the rows are orthonormal, but they do not span what the rows of the
        Gaussian matrix span. A reshape deals the numbers out anew: is its first column the first
        row of what came in?
    reshaped_on_the_way_back: reshaped(into=False, back=True)
    reshaped_on_the_way_back_with_signs: reshaped(into=False, back=True, signs=True)
    reshaped_both_ways: reshaped(into=True, back=True)
    reshaped_both_ways_with_signs: reshaped(into=True, back=True, signs=True)
        Your wide matrices have the right shape, but their rows are not at right angles. A reshape
        deals the numbers out anew, row by row; it does not turn columns into rows.
    rows_of_a_complete_basis: sliced
    rows_of_a_complete_basis_tall_too: sliced(tall=True)
    rows_of_a_complete_basis_by_svd: sliced(svd=True)
        Your rows, or columns, are orthonormal, but do not span what those of the Gaussian matrix
        span: you cut a complete square basis on the wrong side. Which of its vectors, the columns
        or the rows, were made from the Gaussian matrix?
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
    turned_at_random,
    reshaped,
    sliced,
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
    parts=(
        "answer to the same matrix once more (1: the same)",
        "answer to another matrix (1: another one)",
        "shape of the weight matrix",
        "product W W^T",
        "product W^T W",
    ),
    rows="row",
)
