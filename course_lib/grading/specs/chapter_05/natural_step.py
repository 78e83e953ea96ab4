"""Task 5.3: the natural-gradient step that reaches a KL radius."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed

# Number of parameters, radius, scale of the gradient.
SCENES = {
    "two parameters": (2, 0.5, 1.0),
    "three parameters, a small radius": (3, 0.02, 1.0),
    "the same size of step from a gradient a hundred times smaller": (3, 0.4, 0.01),
    "five parameters": (5, 0.1, 1.0),
    "the same again from a gradient of size 0.00001": (3, 0.3, 1e-5),
    "the gradient is around 1e-15": (4, 0.2, 1e-15),
    "the gradient is around 1e8, the radius 200": (2, 200.0, 1e8),
    "23 parameters, the radius is 1e-10": (23, 1e-10, 1.0),
}


def harness(function, g, F, max_kl):
    """Return the step."""
    return function(tensor(g), tensor(F), max_kl)


def probes(generator):
    """Return gradients and matrices that are no multiple of the identity, and one zero gradient."""

    def metric(size):
        # A A^T plus a diagonal that is not constant: positive definite, with decimals.
        A = generator.integers(-12, 13, size=(size, size)) / 10
        own = generator.permutation(np.arange(size)) * 0.8 + 0.4
        F = A @ A.T + np.diag(own)
        return np.round(F + 0.05 * (F == 0), 2)

    calls = []
    for title, (size, max_kl, scale) in SCENES.items():
        g = signed(generator, 5, 30, size)
        unit = 1e-5 if max_kl == 1e-10 else 1.0
        calls.append(
            Probe(
                title,
                (scale * g, metric(size), max_kl),
                unit,
                extreme=scale < 1e-9 or unit < 1 or scale > 1e6,
            )
        )
    g = np.array([0.0, 1.3, -0.7])
    calls.append(
        Probe("one entry of the gradient is zero", (generator.permutation(g), metric(3), 0.2))
    )
    g = signed(generator, 5, 30, 4)
    calls.append(Probe("the entries of F are small", (g, metric(4) / 100, 0.1)))
    for scale in (1e-6, 1e6):
        arguments = (signed(generator, 5, 30, 3), scale * metric(3), 0.1)
        calls.append(
            Probe(f"the entries of F are around {scale:g}", arguments, scale**-0.5, extreme=True)
        )
    return [*calls, Probe("the gradient is zero", (np.zeros(2), metric(2), 0.5))]


def oracle(g, F, max_kl):
    """Return the step from the eigenvectors: there the KL ball is a sphere."""
    values, vectors = np.linalg.eigh(F)
    # In coordinates y that have F as the identity the best direction is the gradient itself.
    slope = (vectors.T @ g) / np.sqrt(values)
    length = np.linalg.norm(slope)
    if length == 0.0:
        return np.zeros(len(g))
    y = np.sqrt(2.0 * max_kl) * slope / length
    return vectors @ (y / np.sqrt(values))


def variant(
    g, F, max_kl, *, solve="F", scale="right", curve="x F x", sign=1.0, factor=2.0, zero="zeros",
    epsilon=0.0, threshold=0.0,
):  # fmt: skip
    """Return the step by the inverse matrix, with options that commit mistakes."""
    import torch

    inverse = {
        "F": lambda: torch.linalg.inv(F),
        "damped": lambda: torch.linalg.inv(F + 0.1 * torch.eye(len(g), dtype=F.dtype)),
        "hardly damped": lambda: torch.linalg.inv(F + 1e-3 * torch.eye(len(g), dtype=F.dtype)),
        "product": lambda: F,
        "entries": lambda: 1.0 / F,
        "diagonal": lambda: torch.diag(1.0 / torch.diag(F)),
        "nothing": lambda: torch.eye(len(g), dtype=F.dtype),
    }[solve]()
    x = inverse @ g
    # With a wrong x the two forms of the curvature, x^T F x and g^T x, are no longer equal.
    curvature = {
        "x F x": lambda: x @ F @ x,
        "g x": lambda: g @ x,
        "g F g": lambda: g @ F @ g,
        "x x": lambda: x @ x,
        "g g": lambda: g @ g,
    }[curve]()
    if (zero == "zeros" and not g.any()) or curvature < threshold:
        return torch.zeros_like(g)
    curvature = curvature + epsilon
    size = {
        "right": lambda: torch.sqrt(factor * max_kl / curvature),
        "no root": lambda: factor * max_kl / curvature,
        "upside down": lambda: torch.sqrt(curvature / (factor * max_kl)),
        "radius outside": lambda: factor * max_kl / torch.sqrt(curvature),
        "radius only": lambda: np.sqrt(factor * max_kl),
        "one": lambda: 1.0,
        "max_kl": lambda: max_kl,
    }[scale]()
    return sign * size * x


MISTAKES = catalogue(
    """
    fisher_not_inverted: solve="product"
    fisher_not_inverted_in_the_scale_too: solve="product", curve="g x"
        Your direction is F g, where F^-1 g is asked for. Multiplying goes far where the policy is
        sensitive. A natural step does the opposite: it is careful there and bold where little
        changes.
    entries_inverted: solve="entries"
    entries_inverted_in_the_scale_too: solve="entries", curve="g x"
        You take one over every entry of F. The inverse of a matrix is another thing: F times it
        must give the identity. What solves the linear system F x equal to g?
    diagonal_only: solve="diagonal"
    diagonal_only_in_the_scale_too: solve="diagonal", curve="g x"
        You divide by the diagonal of F and ignore the rest. That would be right only if no two
        parameters moved the policy in similar ways.
    damped: solve="damped"
    damped_in_the_scale_too: solve="damped", curve="g x"
        Something is added to the diagonal of F, 0.1 it seems. Damping protects against noisy small
        eigenvalues (the end of "When F has no inverse"). Here F is exact, and the step must be too.
    hardly_damped: solve="hardly damped"
    hardly_damped_in_the_scale_too: solve="hardly damped", curve="g x"
        Your numbers are off most where F is small: about 0.001 is added to its diagonal. Damping
        protects against noisy small eigenvalues (the end of "When F has no inverse"). Here F is
        exact, and the step must be too.
    plain_gradient: solve="nothing"
        Your step points along the gradient, stretched so that it reaches the radius. That is the
        best use of that direction, but not the best direction inside the KL ball. Where does F^-1
        enter?
    euclidean_ball: solve="nothing", curve="g x"
        Your step is the plain gradient, cut to the Euclidean length of root 2 max_kl. Its KL is
        another one in every direction, because F has no effect at all. Which matrix should measure
        lengths, and bend the direction?
    not_scaled: scale="one"
        The direction is right, its length is not: you return F^-1 g itself, whatever the radius.
        How far along it does the quadratic model of the KL reach max_kl?
    fixed_step_size: scale="max_kl"
        The direction is right, but you use max_kl as a step size. Then the KL that is reached
        depends on the size of the gradient: look at the probe whose gradient is a hundred times
        smaller.
    two_missing: factor=1.0
        Your step is too short by the square root of 2. The quadratic model of the KL has a one half
        in front of the curvature. What KL does the model give for your step?
    half_for_two: factor=0.5
        Your step is too short by a factor 2: the one half of the quadratic model ended up beside
        max_kl. Solve one half times c^2 times the curvature equals max_kl for c once more.
    root_missing: scale="no root"
        The square root is missing. The KL grows with the square of the step, so a radius four times
        as large makes the step twice as long. Yours becomes four times as long.
    root_of_the_curvature_only: scale="radius outside"
        The root covers the curvature but not the radius. The KL grows with the square of the step,
        so a radius four times as large makes the step twice as long. Yours becomes four times as
        long.
    quotient_upside_down: scale="upside down"
        The quotient under the root is upside down. A larger radius must make the step longer, a
        larger curvature shorter. Yours does the opposite.
    curvature_left_out: scale="radius only"
        You multiply by the root of 2 max_kl and never divide by the curvature. The step must not
        depend on the size of the gradient: compare the probe whose gradient is a hundred times
        smaller.
    curvature_of_the_gradient: curve="g F g"
        Your scale holds g^T F g. The step is a multiple of x, so it is x, the solution of F x equal
        to g, whose KL has to be measured. What becomes of x^T F x if F x is g?
    euclidean_length: curve="x x"
        You divide by the Euclidean length of F^-1 g. That puts the step on an ordinary sphere,
        whose KL is different in every direction. Which matrix measures lengths here?
    length_of_the_gradient: curve="g g"
        You divide by the Euclidean length of the gradient. The step is a multiple of F^-1 g, and
        its length has to be measured by F. What is g^T F^-1 g?
    descent: sign=-1.0
        Your step points the wrong way. g is the gradient of the surrogate, which is maximised: step
        and gradient must have a positive inner product.
    epsilon_1e-08_in_the_divisor: epsilon=1e-08
    epsilon_1e-10_in_the_divisor: epsilon=1e-10
        Where the gradient is small your step is too short: a small number is added to the divisor.
        It is small beside the curvature of a large gradient only. The size of the gradient must not
        matter, and only a gradient of exactly 0 needs care.
    small_taken_for_zero: threshold=1e-08
        In the probe whose gradient has the size 0.00001 your step is 0: a threshold takes it for a
        gradient of zeros. Its direction is as clear as any other, and the step has full length.
        Only a gradient of exactly 0 has no direction.
    zero_gradient: zero="divided"
        With a gradient of zeros you divide 0 by 0 and return NaN. Nothing is known about where to
        go then, so the step is zero.
    """
)

SPEC = Spec(
    name="natural_step",
    exercise="05_kl_geometry",
    parameters=("g", "F", "max_kl"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    rows="parameter",
)
