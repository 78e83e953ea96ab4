"""Task 8.3, the case: repair what sets the length of the step."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed
from .backtracking_line_search import EXERCISE

# Number of parameters, damping, size of the direction.
SCENES = {
    "two parameters, damping 0.5": (2, 0.5, 1.0),
    "three parameters, damping 0.1": (3, 0.1, 1.0),
    "damping is 0": (3, 0.0, 1.0),
    "damping 2": (4, 2.0, 1.0),
    "damping 40": (3, 40.0, 1.0),
    "thirty parameters": (30, 0.25, 1.0),
    "a direction of about 1e-5": (3, 0.5, 1e-5),
    "a direction of about 1e4": (3, 0.5, 1e4),
}


def harness(function, x, damped_product, damping):
    """Return the curvature."""
    return function(tensor(x), tensor(damped_product), damping)


def probes(generator):
    """Return directions, and their products with a positive definite matrix plus damping."""
    calls = []
    for title, (size, damping, scale) in SCENES.items():
        root = generator.integers(-12, 13, size=(size, size)) / 10
        F = root @ root.T + np.diag(0.5 + 0.5 * np.arange(size))
        x = signed(generator, 5, 30, size)
        product = np.round(F @ x + damping * x, 3)
        unit = min(1.0, scale**2)
        extreme = scale != 1.0
        calls.append(Probe(title, (scale * x, scale * product, damping), unit, extreme))
    return calls


def oracle(x, damped_product, damping):
    """Return x^T F x with F x worked out first."""
    return np.sum(x * (damped_product - damping * x))


def variant(
    x, damped_product, damping, *, taken_out="damping |x|^2", sign=-1.0, first="x . product",
    answer="curvature",
):  # fmt: skip
    """Return the product's share less that of the damping, with options that commit mistakes."""
    squared = x.square().sum()
    share = {
        "damping |x|^2": damping * squared,
        "nothing": 0.0 * squared,
        "damping": damping,
        "damping |x|": damping * squared.sqrt(),
        "damping^2 |x|^2": damping**2 * squared,
        "half": 0.5 * damping * squared,
        "|x|^2": squared,
        "damping, from each entry": damping * x.sum(),
    }[taken_out]
    whole = {
        "x . product": (x * damped_product).sum(),
        "|product|^2": damped_product.square().sum(),
    }[first]
    result = whole + sign * share
    return {"curvature": result, "half": 0.5 * result, "mean": result / len(x)}.get(
        answer, result.abs().sqrt()
    )


def printed(x, damped_product, damping):
    """Return x^T (F + damping I) x: the damping is counted as part of the KL."""
    return (x @ damped_product).item()


MISTAKES = catalogue(
    """
    damping_kept: taken_out="nothing"
        It is still the fault of the log: the damping counts as curvature of the KL. The probe
        without damping is right, all others are too large. What does `damped_product` hold beside
        F x?
    damping_added: sign=1.0
        The damping's share is counted twice instead of not at all. It is in the product already.
        Which sign takes it out?
    damping_alone: taken_out="damping"
        You take the damping out once, as a number. Its share grows with the square of the
        direction. Put the damped matrix between x and x and see what each of its two parts becomes.
    norm_not_squared: taken_out="damping |x|"
        You take out the damping times the length of x. A curvature is quadratic in x, and so is
        the share of the damping.
    damping_squared: taken_out="damping^2 |x|^2"
        The damping enters your answer squared. It is added to the diagonal once.
    half_of_the_damping: taken_out="half"
        You take out half of the damping's share. The half belongs to the KL's model, not to the
        matrix.
    damping_not_a_factor: taken_out="|x|^2"
        You take out the squared length of x whatever the damping is. Where does the argument
        enter?
    number_from_a_vector: taken_out="damping, from each entry"
        You take the damping from every entry of the product. What was added to entry i is the
        damping times entry i of x.
    product_with_itself: first="|product|^2"
        You multiply the damped product with itself. The curvature has the direction on both sides
        of the matrix.
    kl_instead: answer="half"
        Your answer is half as large as it should be: it is the KL's model, not the curvature. The
        half comes later, where the length is computed.
    mean_instead_of_sum: answer="mean"
        Your answer is divided by the number of parameters. A product of two vectors is a sum.
    root_taken: answer="root"
        You return the root of the curvature. The caller takes a root itself, after dividing by it.
    """
)

SPEC = Spec(
    name="step_curvature",
    exercise=EXERCISE,
    parameters=("x", "damped_product", "damping"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    printed=printed,
)
