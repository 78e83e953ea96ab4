"""Task 4.3: what the surrogate guarantees about the return."""

import math

from ...catalogue import catalogue
from ...spec import Probe, Spec

KINDS = ("mean_tv", "max_tv", "max_kl", "mean_kl")
CONSTANTS = (2, 4, 2, 2)  # of each kind's penalty; the last one stands under the root
POWERS = (1, 2, 1, 0.5)  # of the divergence in it
GAMMAS = (0.4, 0.7, 0.9)
EXTREMES = {  # surrogate, eps, divergence, gamma
    "the divergence is 1e-10, gamma is 0.999": (3.5, 1.2, 1e-10, 0.999),
    "the divergence is 0": (-2.5, 1.2, 0.0, 0.9),
    "eps is 0": (1.5, 0.0, 0.3, 0.9),
    "the divergence is 1, eps a million": (2.5, 1e6, 1.0, 0.5),
    "everything around 1e-9, gamma 0.5": (2e-9, 3e-9, 0.2, 0.5),
    "gamma is 0": (3.5, 1.2, 0.3, 0.0),
}


def probes(generator):
    """Return every kind with every gamma, and with gamma 0."""
    calls = []
    for gamma in GAMMAS:
        for kind in KINDS:
            surrogate = float(generator.choice([-1, 1]) * generator.integers(20, 90) / 10)
            eps = float(generator.integers(11, 30) / 10)
            # Below 0.4, a divergence and the root of its half are far apart.
            divergence = float(generator.integers(5, 38) / 100)
            title = f'kind "{kind}", gamma {gamma}'
            calls.append(Probe(title, (surrogate, eps, divergence, gamma, kind)))
    for title, arguments in EXTREMES.items():
        unit = 1e-9 if "everything" in title else 1.0
        calls += [
            Probe(f'kind "{kind}", {title}', (*arguments, kind), unit, True) for kind in KINDS
        ]
    return calls


def oracle(surrogate, eps, divergence, gamma, kind):
    """Return the theorem's bound, after the divergence has been turned into a total variation."""
    alpha = math.sqrt(divergence / 2) if kind.endswith("kl") else divergence  # Pinsker
    eps_new = 2 * alpha * eps if kind.startswith("max") else eps
    horizon = 1 / (1 - gamma)
    return surrogate - horizon * eps_new * 2 * gamma * horizon * alpha


def variant(
    surrogate, eps, divergence, gamma, kind, *, constants=CONSTANTS, powers=POWERS, sign=-1.0,
    base="surrogate", horizon=2, discount="gamma", floor=False,
):  # fmt: skip
    """Return the bound from a table of four formulas, with options that commit mistakes."""
    row = KINDS.index(kind)
    factor = {
        "gamma": gamma,
        "none": 1.0,
        "in the root": math.sqrt(gamma) if kind == "mean_kl" else gamma,
    }[discount]
    constant = math.sqrt(constants[row]) if kind == "mean_kl" else constants[row]
    penalty = constant * factor * eps * divergence ** powers[row] / (1 - gamma) ** horizon
    start = {"surrogate": surrogate, "nothing": 0.0, "per step": surrogate / (1 - gamma)}[base]
    answer = start + sign * penalty
    return max(0.0, answer) if floor else answer


MISTAKES = catalogue(
    """
    penalty_added: sign=1.0
        The penalty has the wrong sign: your number lies above the surrogate. A guarantee says how
        much can be lost where the new policy meets other states than the old one.
    no_penalty: sign=0.0
        You return the surrogate itself. It is right about J(new) to first order only and may lie
        above it. A guarantee has to subtract what that can cost. It costs nothing only
        where gamma, eps or the divergence is 0.
    penalty_only: base="nothing"
        The surrogate has no effect in your answer: it is minus the penalty. The guarantee is about
        J(new), so it starts from what the surrogate promises.
    surrogate_divided: base="per step"
        You divide the surrogate by 1 - gamma. The book's surrogate includes J(old) and that factor
        already. With gamma 0 there is no penalty and yours is right.
    horizon_once: horizon=1
        Your penalty lacks one factor 1 / (1 - gamma). Errors grow with the horizon twice: the
        states drift apart over many steps, and each of those steps can cost something.
    horizon_missing: horizon=0
        Your penalty lacks both factors 1 / (1 - gamma). With gamma 0.9 it is a hundred times too
        small, and would promise what nobody can keep.
    gamma_missing: discount="none"
        Your penalty lacks the factor gamma. Where gamma is 0 the states that come later do not
        count, so the surrogate is exact and the penalty must vanish.
    gamma_under_the_root: discount="in the root"
        In kind mean_kl your gamma stands under the square root. The root belongs to Pinsker's
        inequality, which knows nothing of gamma. Your bound is valid but looser, by the factor 1 /
        sqrt(gamma). It is found in print, too.
    half_missing_in_max_kl: constants=(2, 4, 4, 2)
        In kind max_kl your penalty is twice as large as it has to be. That is the constant that the
        TRPO paper states. It follows from TV^2 <= KL; Pinsker's inequality gives half of it.
    half_missing_in_mean_kl: constants=(2, 4, 2, 4)
        In kind mean_kl your penalty is too large by the square root of 2. Pinsker's inequality
        bounds TV^2 by half of the KL: where does that half stand in yours?
    half_outside_the_root: constants=(2, 4, 2, 1)
        In kind mean_kl the 2 stands outside the root, and your penalty is too small by the square
        root of 2. Pinsker's inequality bounds TV^2 by half of the KL. The root is taken of both
        sides as a whole.
    never_below_zero: floor=True
        You cut the bound off at 0. The return itself may be negative, and then a bound of 0 is
        false. Even where it is positive, a negative bound says truthfully that nothing is
        guaranteed.
    pinsker_without_its_half: constants=(2, 4, 4, 4)
        In both kinds with a KL you use TV^2 <= KL. That is true, but Pinsker's inequality gives
        half of the KL. The kinds with a total variation are right.
    eps_not_replaced: constants=(2, 2, 1, 2)
        In the kinds that take a maximum you use eps_A as if it were eps_new. The inequality between
        the two has a factor 2 alpha, and its 2 is missing: max_tv and max_kl come out too small by
        2.
    eps_not_replaced_in_max_tv: constants=(2, 2, 2, 2)
        In kind max_tv your penalty is too small by the factor 2. It comes from the inequality
        between eps_new and eps_A, which holds here as it does in max_kl, where you are right.
    eps_not_replaced_in_max_kl: constants=(2, 4, 1, 2)
        In kind max_kl your penalty is too small by the factor 2. It is max_tv with alpha squared
        replaced: put half of the KL in its place and see which constant is left.
    alpha_not_squared: powers=(1, 1, 1, 0.5)
        In kind max_tv the divergence enters once. One alpha stands there from the theorem; eps
        brings another, since an expected advantage shrinks as the policies approach each other.
    kl_squared: constants=(2, 4, 4, 2), powers=(1, 2, 2, 0.5)
        In kind max_kl you square the KL. Pinsker's inequality is about the square of the total
        variation: the KL takes the place of alpha squared, not of alpha.
    root_missing: constants=(2, 4, 2, 1), powers=(1, 2, 1, 1)
        In kind mean_kl the KL enters without a square root. The theorem has the total variation to
        the first power there: how does it depend on the KL?
    root_in_max_kl: constants=(2, 4, 2.8284271247, 2), powers=(1, 2, 0.5, 0.5)
        In kind max_kl you take a square root of the KL. There it stands for alpha squared, so no
        root is left. That is why this penalty vanishes faster than the surrogate's gain.
    two_missing: constants=(1, 2, 1, 0.5)
        All your penalties are half as large as they should be: the theorem's constant is 2, not 1.
        It stands there because the states' distributions are compared by the sum of absolute
        differences, which is twice their total variation.
    """
)

SPEC = Spec(
    name="improvement_bound",
    exercise="04_monotonic_improvement",
    parameters=("surrogate", "eps", "divergence", "gamma", "kind"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)
