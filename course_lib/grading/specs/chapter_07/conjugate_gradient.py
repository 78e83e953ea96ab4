"""Task 7.1: conjugate gradients, stopped before they have converged."""

import re

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor
from ...spec import Probe, Spec
from ..draws import signed

LATE = 0.05  # a tolerance that takes more than ten iterations
NEVER = 1e-10  # a tolerance that no probe with few iterations reaches
TOLERANCE = 0.1
ROOT = TOLERANCE**0.5
# A rule stops at a residual of (factor) times (norm of b) to the (power). The right one comes first.
RELATIVE, ABSOLUTE = (TOLERANCE, 1.0), (TOLERANCE, 0.0)
SQUARES = [(ROOT, 0.0), (ROOT, 1.0), (TOLERANCE, 2.0)]
MIXED = [(ROOT, 0.0), (ROOT, 0.5)]


def harness(function, A, b, iterations, tolerance):
    """Return x, and how many products with A were taken.

    Where A is so badly conditioned that rounding counts, another order of the same operations takes
    another number of products. There it returns whether the residual is small, and in time.
    """
    import torch

    matrix = tensor(A)

    def products():  # the variables of a generator are no cells that a submission could set back
        count = 0
        v = yield
        while True:
            count += 1
            v = yield (matrix.to(v.dtype) if isinstance(v, torch.Tensor) else matrix.numpy()) @ v

    operator = products()
    next(operator)
    x = function(operator.send, tensor(b), iterations, tolerance)
    count = operator.gi_frame.f_locals["count"] if operator.gi_frame else -1
    if iterations < 6 * len(b):
        return x, count
    answer = x.detach().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    residual = np.linalg.norm(b - A @ answer) / np.linalg.norm(b)
    return np.array([residual < 5 * tolerance]) * 1.0, int(0 < count <= iterations)


def probes(generator):
    """Return systems in which the iterates on the way differ from the solution."""

    def right_side(size):
        return signed(generator, 5, 30, size)

    def matrix(eigenvalues):
        size = len(eigenvalues)
        Q, _ = np.linalg.qr(generator.normal(size=(size, size)))
        A = Q @ np.diag(eigenvalues) @ Q.T
        return np.round((A + A.T) / 2, 2)

    def stopped_early(size, iterations, spread):
        while True:
            A = matrix(np.geomspace(0.8, 0.8 * spread, size) * generator.uniform(0.8, 1.25, size))
            b = right_side(size)
            norms = residual_norms(A, b, iterations)
            # Every iteration matters, and the descent is far from its end.
            if min(norms) > 0.02 * norms[0] and np.abs(np.diff(norms)).min() > 0.02 * norms[0]:
                return A, b, iterations, NEVER

    def two_eigenvalues(size):
        while True:
            u, b = right_side(size), right_side(size)
            A = 1.5 * np.eye(size) + np.outer(u, u)
            if residual_norms(A, b, 1)[1] > 0.05 * np.linalg.norm(b):
                return A, b, 6, 1e-3

    def stopped_by_tolerance(size, scale, rules):
        while True:
            A = matrix(np.geomspace(0.8, 6.0, size) * generator.uniform(0.8, 1.25, size))
            b = scale * right_side(size)
            norms = residual_norms(A, b, size - 1)
            own = TOLERANCE * norms[0]
            clear = all(norm > 1.2 * own or norm < own / 1.2 for norm in norms)
            stops = [first_below(norms, factor * norms[0] ** power) for factor, power in rules]
            if clear and len(set(stops)) == len(stops) and 2 <= stops[0] < size - 1:
                return A, b, size + 2, TOLERANCE

    def scaled(of_matrix, of_right_side):
        A, b, iterations, _ = stopped_early(3, 2, 15.0)
        return of_matrix * A, of_right_side * b, iterations, NEVER

    def late(size):
        while True:
            A = matrix(np.geomspace(1.0, 60.0, size))
            b = right_side(size)
            norms = np.array(residual_norms(A, b, 30)) / np.linalg.norm(b)
            stop = first_below(norms, LATE)
            if 12 <= stop < 30 and norms[stop - 1] > 1.1 * LATE > 1.2 * norms[stop]:
                return A, b, 60, LATE

    def badly_conditioned(size):
        A = matrix(np.geomspace(1.0, 1e4, size))
        return A, right_side(size), 6 * size, 1e-3

    calls = {
        "two unknowns, one iteration": stopped_early(2, 1, 6.0),
        "three unknowns, two iterations": stopped_early(3, 2, 15.0),
        "five unknowns, three iterations": stopped_early(5, 3, 40.0),
        "A has two different eigenvalues, so two iterations suffice": two_eigenvalues(4),
        "the tolerance is met on the way, b is large": stopped_by_tolerance(
            8, 4.0, [RELATIVE, ABSOLUTE, *SQUARES]
        ),
        "the tolerance is met on the way, b is small": stopped_by_tolerance(
            6, 0.08, [RELATIVE, ABSOLUTE, *MIXED]
        ),
        "forty unknowns, the tolerance is met after more than ten iterations": late(40),
        "the tolerance is met on the way, b around 1e-12": stopped_by_tolerance(
            5, 1e-12, [RELATIVE]
        ),
        "two iterations, b around 1e8, A around 1e-6": scaled(1e-6, 1e8),
        "the tolerance is 1: nothing is to be done": (
            matrix(np.array([0.9, 4.0])),
            np.ones(2),
            3,
            1.0,
        ),
        "more iterations than unknowns: rounding counts": badly_conditioned(16),
        "b is zero": (matrix(np.array([0.7, 2.5])), np.zeros(2), 3, 1e-3),
    }
    units = {"b around 1e-12": 1e-12, "A around 1e-6": 1e14, "rounding counts": 2.0}
    return [
        Probe(title, arguments, unit, extreme=unit != 1.0 or "ten" in title)
        for title, arguments in calls.items()
        for unit in (units.get(re.split(", |: ", title)[-1], 1.0),)
    ]


def residual_norms(A, b, iterations):
    """Return the norm of the residual before the first iteration and after each."""
    iterates = krylov_minima(A, b, iterations)
    return [float(np.linalg.norm(b - A @ x)) for x in iterates]


def first_below(norms, limit):
    """Return the number of iterations after which a norm is within a limit."""
    return next((count for count, norm in enumerate(norms) if norm <= limit), len(norms))


def krylov_minima(A, b, iterations):
    """Yield 0 and then, j after j, the minimum of the quadratic over span{b, A b, ..., A^(j-1) b}.

    That is what the j-th iterate is, by definition; the small dense system finds it.
    """
    yield np.zeros(len(b))
    basis = []
    for _ in range(iterations):
        w = A @ basis[-1] if basis else b.copy()
        for _ in range(2):  # the second pass removes what rounding left
            for q in basis:
                w = w - (q @ w) * q
        basis.append(w / np.linalg.norm(w))
        Q = np.stack(basis, axis=1)
        yield Q @ np.linalg.solve(Q.T @ A @ Q, Q.T @ b)


def oracle(A, b, iterations, tolerance):
    """Return the first minimum over a Krylov space that is good enough, and the space's size."""
    if iterations == 6 * len(b):
        return np.ones(1), 1
    for count, x in enumerate(krylov_minima(A, b, iterations)):
        small = np.linalg.norm(b - A @ x) <= tolerance * np.linalg.norm(b)
        if small or count == iterations:
            return x, count
    raise AssertionError("the loop ends with its last iterate")


def variant(
    linear_operator, b, iterations, tolerance, *, beta="new over old", sign=1.0, step="right",
    move="direction", base="new residual", stop="relative", count=0, multiply="direction",
    extra="none", output="x", first="own memory", forward=1.0,
    epsilon=0.0,
):  # fmt: skip
    """Return x by the two-term recursion, with options that commit mistakes."""
    import torch

    x, r = torch.zeros_like(b), b.clone()
    if extra in ("at the start", "at the start and each time"):
        r = b - linear_operator(x)
    p = r.clone()
    rr = r @ r
    bb = b @ b

    def enough(rr):
        norm, size = torch.sqrt(rr), torch.sqrt(bb)
        return {
            "relative": norm <= tolerance * size,
            "strict": norm < tolerance * size,
            "absolute": norm <= tolerance,
            "squared, absolute": rr <= tolerance,
            "squared, relative": rr <= tolerance * bb,
            "norm, squared": norm <= tolerance * bb,
            "squared, norm": rr <= tolerance * size,
            "at zero": rr == 0,
            "never": False,
        }[stop]

    for number in range(iterations + count):
        if enough(rr):
            break
        Ap = linear_operator({"direction": p, "x": x, "residual": r}[multiply])
        alpha = {
            "right": rr / (p @ Ap + epsilon),
            "without A": rr / (p @ p),
            "p p": (p @ p) / (p @ Ap),
            "inverse": (p @ Ap) / rr,
            "root": torch.sqrt(rr) / (p @ Ap),
        }[step]
        x = x + forward * alpha * (p if move == "direction" else r)
        before = r
        r = r - sign * alpha * Ap
        if extra in ("each time", "at the start and each time"):
            r = b - linear_operator(x)
        if first == "shared memory" and number == 0:
            p = r  # an update of r in place has changed p as well
        new = r @ r
        factor = {
            "new over old": new / (rr + epsilon),
            "inverted": rr / new,
            "one": 1.0,
            "zero": 0.0,
            "negative": -new / rr,
            "norms": torch.sqrt(new / rr),
            "alpha": alpha,
        }[beta]
        p = (r if base == "new residual" else before) + factor * p
        rr = new
    return {"x": x, "residual": r, "direction": p, "remainder": b - r}[output]


MISTAKES = catalogue(
    """
    steepest_descent: beta="zero"
        Every direction of yours is the residual alone. That is steepest descent: the first
        iteration agrees, and from the second on it undoes part of what it won. What is left of the
        direction before has to be added.
    beta_inverted: beta="inverted"
        The quotient in beta is upside down. The residual shrinks, so beta is mostly smaller than 1
        and the memory of old directions fades. Yours grows as the residual falls. The first
        iteration does not use it.
    beta_is_one: beta="one"
        Your beta is always 1. Is the old squared norm of the residual overwritten by the new one
        before you divide? The two must be kept apart until beta is known.
    beta_negative: beta="negative"
        The old direction enters with a minus. The new direction must be conjugate to the old one:
        the product of p, A and the old p must be 0. Check that with your numbers in the second
        iteration.
    beta_of_norms: beta="norms"
        Your beta is a quotient of norms. It has to be a quotient of squared norms; then the new
        direction is conjugate to the old one, which a test with three unknowns shows.
    alpha_for_beta: beta="alpha"
        The step length alpha stands where beta belongs. alpha says how far to go, beta how much of
        the old direction to keep. Which two residuals does beta compare?
    residual_sign: sign=-1.0
        The residual is updated with the wrong sign, so it grows. x moves by alpha p, so b - A x
        changes by how much? Compute b - A x after one iteration and compare.
    x_backwards: forward=-1.0
        Your x is minus the right one. The direction p points where the quadratic falls, because it
        starts as the residual. What happens to x along it?
    old_residual_in_the_direction: base="old residual"
        The new direction is built from the residual of the iteration before. Which comes first: the
        update of the residual, or that of the direction?
    x_along_the_residual: move="residual"
        x moves along the residual, while the step length belongs to the direction p. In the first
        iteration the two are equal, so the first probe is right.
    step_without_the_operator: step="without A"
        Your step length divides by p^T p, without A. It is right only where A is the identity. The
        step has to end at the minimum along p; how strongly the quadratic bends there is p^T A p.
    direction_in_the_step: step="p p"
        The numerator of your step length is p^T p. It is the residual whose square belongs there;
        the two are equal in the first iteration only.
    step_upside_down: step="inverse"
        The quotient of the step length is upside down: p^T A p stands above. Where the quadratic
        bends more the minimum is nearer, so the step must be shorter.
    norm_in_the_step: step="root"
        The numerator of your step length is the norm of the residual, not its square. Make b twice
        as large: x must be twice as large as well, and yours is not.
    product_with_x: multiply="x"
        You call the operator on x. In the first iteration x is 0, so is the product, and the step
        length is a number divided by 0. Along which vector must the curvature be known?
    product_with_the_residual: multiply="residual"
        You call the operator on the residual. In the first iteration that is the direction as well,
        later it is not. Step length and residual both need A times the direction along which x
        moves.
    direction_shares_memory: first="shared memory"
        After the first iteration the old direction is lost. Direction and residual begin as one
        tensor: an update in place, such as `-=`, changes both. Give one of them memory of its own.
    returns_the_residual: output="residual"
        You return the residual, what is left of b. The solution is what the steps along the
        directions add up to.
    returns_the_direction: output="direction"
        You return the last direction, which the next iteration would use. The solution is what the
        steps along the directions add up to.
    returns_the_product: output="remainder"
        You return A x, the part of b that is explained, where x is asked for. Which of your updates
        adds alpha times the product?
    one_iteration_too_many: count=1
        You make one iteration more than `iterations` allows. The first probe allows one, and you
        take two products. Where does your count begin?
    one_iteration_too_few: count=-1
        You make one iteration less than `iterations` allows: the first probe allows one and your
        answer is 0. Where does your count begin, and where does it end?
    tolerance_ignored: stop="never"
        The tolerance has no effect: you always make all the iterations. Where two suffice you take
        six products. With b of zeros you divide 0 by 0. When is the residual small enough?
    epsilon_for_the_tolerance: stop="never", epsilon=1e-12
        The tolerance has no effect: you always make all the iterations, and a small number in the
        divisors keeps NaN away. Where two iterations suffice you take six products, and each costs
        about two backward passes in TRPO. When is the residual small enough?
    stops_at_zero_only: stop="at zero"
        You stop only where the residual is exactly 0. Rounding hardly ever lets that happen: where
        two iterations suffice you take six products. What is `tolerance` for?
    zero_right_side: stop="strict"
        With b of zeros you divide 0 by 0 and return NaN. The residual is small
        enough before the first iteration. Does your test come before the product, and does it also
        stop where both sides are 0?
    tolerance_absolute: stop="absolute"
        You compare the residual's norm with the tolerance itself. It counts as a fraction of the
        norm of b: multiply b by 100, and the number of iterations must stay the same.
    squared_norm_and_absolute: stop="squared, absolute"
        You compare the squared norm of the residual with the tolerance. Two things differ: the norm
        is meant, not its square, and it is compared with a fraction of the norm of b.
    squared_norms: stop="squared, relative"
        You compare squared norms, so the tolerance ought to be squared too. Yours stops too soon:
        for a tolerance of 0.1 a residual of 0.3 is enough for it.
    norm_with_squared_norm: stop="norm, squared"
        You compare the norm of the residual with a fraction of the squared norm of b. The two sides
        have different units: with b large you stop at once, with b small too late.
    squared_norm_with_norm: stop="squared, norm"
        You compare the squared norm of the residual with a fraction of the norm of b. Is a root
        missing? The two sides have different units: yours stops at another iteration when b is
        multiplied by 100.
    product_at_the_start: extra="at the start"
        You take one product more than there are iterations. x does not suffer, but for x = 0 the
        residual is known without one. In TRPO each one costs about as much as two backward passes.
    two_products_each_time: extra="each time"
        You take two products in each iteration. x does not suffer, but the residual need not be
        computed anew: it changes by alpha times a product that you have already.
    residual_computed_anew: extra="at the start and each time"
        You compute the residual anew each time, the first one too. x does not suffer, but the
        products more than double. At x = 0 the residual is known, and later it changes by alpha
        times a product that you have already.
    """
)

SPEC = Spec(
    name="conjugate_gradient",
    exercise="07_conjugate_gradients",
    parameters=("linear_operator", "b", "iterations", "tolerance"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("x", "number of products"),
    rows="entry",
)
