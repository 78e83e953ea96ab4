"""The bank of exam questions: every number of an answer is computed here, by other means if possible."""

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from book.exam import bank, main, sheet
from course_lib.advantages import gae, td_residuals
from course_lib.algorithms.agent import explained_variance
from course_lib.algorithms.ppo import ppo_clip_loss
from course_lib.algorithms.ppo_penalty import adapt_beta
from course_lib.algorithms.updates import value_loss
from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.exact import bounds
from course_lib.experience.normalization import RewardScaler
from course_lib.language.groups import grpo_advantages, rloo_advantages
from course_lib.line_search import backtracking_line_search
from course_lib.natural import natural_step
from course_lib.policies import GaussianPolicy
from course_lib.show import claim
from course_lib.surrogate import approx_kl, effective_sample_size, kl_divergence
from tests.pattern import DECIMAL

ROOT = Path(__file__).resolve().parent.parent
BANK = bank(ROOT)
CHAPTERS = range(1, 16)
COMPUTED: dict[str, Callable[[], dict[str, float]]] = {}


def answers(number):
    """Register what computes the numbers of a question's answer: as printed -> value."""

    def register(function):
        COMPUTED[number] = function
        return function

    return register


def gaussian(mean, std):
    """A Gaussian over one action at one state, in double precision."""
    values = (torch.tensor([[x]], dtype=torch.float64) for x in (mean, math.log(std)))
    return DiagonalGaussian(*values)


def categorical(*p):
    return Categorical(torch.tensor([p], dtype=torch.float64).log())


def first(values):
    """The first number of an array that grows."""
    return int(np.argmax(values))


@answers("1.1")
def baseline_that_knows_the_action():
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    j = logits.softmax(0) @ torch.tensor([1.0, 0.0], dtype=torch.float64)
    return {"0.25": torch.autograd.grad(j, logits)[0][0].item()}


@answers("1.2")
def best_baseline():
    p, probability = 0.8, np.array([0.8, 0.2])
    score, reward = np.array([1 - p, -p]), np.array([10.0, 12.0])

    def moments(b):
        x = score * (reward - b)
        return probability @ x, probability @ x**2 - (probability @ x) ** 2

    value = probability @ reward
    best = (probability @ (score**2 * reward)) / (probability @ score**2)
    assert moments(best)[1] == pytest.approx(0, abs=1e-12)
    assert moments(3.0)[0] == pytest.approx(moments(0.0)[0])
    return {
        "0.2": score[0], "-0.8": score[1], "-0.32": moments(0.0)[0], "21.53": moments(0.0)[1],
        "10.4": value, "0.2304": moments(value)[1], "11.6": best,
    }  # fmt: skip


@answers("1.3")
def discount_that_got_lost():
    def j(p, discount):
        return -p + discount * 1.5 * p

    slopes = [(j(0.6, g) - j(0.4, g)) / 0.2 for g in (0.5, 1.0)]
    return {"-0.25": slopes[0], "0.5": slopes[1]}


@answers("1.4")
def noise():
    weights = {"9{,}000": np.full(10, 30.0), "3{,}465": 3.0 * np.arange(10, 0, -1)}
    return {name: (w**2).sum() for name, w in weights.items()}


@answers("2.1")
def gae_by_hand():
    column = [
        np.array(x, dtype=float)[:, None] for x in ([1, 0, 2, 1], [0.5, 1, 0, 2], [1, 3, 2, 7])
    ]
    flags = [np.array(x, dtype=bool)[:, None] for x in ([0, 0, 0, 1], [0, 1, 0, 0])]
    deltas = td_residuals(*column, *flags[:1], 0.9)[:, 0]
    right = gae(*column, *flags, 0.9, 0.5)[:, 0]
    merged = gae(*column, flags[0] | flags[1], flags[1], 0.9, 0.5)[:, 0]
    running = gae(*column, flags[0], np.zeros_like(flags[1]), 0.9, 0.5)[:, 0]
    assert deltas[3] == right[3] == merged[1] == -1
    return {
        "1.4": deltas[0], "1.7": right[1], "3.8": deltas[2], "3.35": right[2], "2.165": right[0],
        "0.95": merged[0], "3.2075": running[1], "2.843": running[0], "0.45": 0.9 * 0.5,
    }  # fmt: skip


@answers("2.2")
def how_far_a_trace_sees():
    lags = np.arange(2000)
    return {
        "0.9405": 0.99 * 0.95, "16.8": (0.9405**lags).sum(), "76": first(0.9405**lags < 0.01),
        "459": first(0.99**lags < 0.01), "0.276": 0.99**128,
    }  # fmt: skip


@answers("2.3")
def critic_too_optimistic():
    def bias(steps, gae_lambda, c=10.0, gamma=0.99):
        flags = np.arange(steps)[:, None] == steps - 1
        wrong = np.full((steps, 1), c)
        none = np.zeros_like(flags)
        return gae(0 * wrong, wrong, wrong, flags, none, gamma, gae_lambda)[0, 0]

    for steps in (1, 2, 7):
        k = np.arange(steps - 1)
        formula = 0.01 * (0.99 * 0.9) ** k @ np.ones(steps - 1) + (0.99 * 0.9) ** (steps - 1)
        assert bias(steps, 0.9) == pytest.approx(-10 * formula)
        assert bias(steps, 1.0) == pytest.approx(-10)
    return {"-10": bias(1, 0.0), "-0.1": bias(5, 0.0), "9.9": bias(5, 0.0) - bias(1, 0.0)}


@answers("2.4")
def perfect_score():
    returns = np.array([1.0, 5.0, -2.0, 40.0])
    return {
        "1": explained_variance(returns + 10, returns),
        "100": ((returns + 10 - returns) ** 2).mean(),
    }


def staying(p, old=0.5, gamma=0.8):
    """J of staying with probability p, and the surrogate of the old policy, by iteration."""
    v = [0.0, 0.0]
    for _ in range(2000):
        v = [q * (1 + gamma * x) for q, x in zip((old, p), v, strict=True)]
    stay, leave = 1 + gamma * v[0], 0.0
    visits = [sum((gamma * q) ** t for t in range(2000)) for q in (old, p)]
    mean = p * (stay - v[0]) + (1 - p) * (leave - v[0])
    return v, stay, visits, mean, v[0] + visits[0] * mean


@answers("3.1")
def two_policies():
    (j_old, j_new), stay, visits, mean, surrogate = staying(0.75)
    assert visits[1] * mean == pytest.approx(j_new - j_old)
    return {
        "0.8333": j_old, "1.875": j_new, "1.6667": stay, "-0.8333": -j_old, "2.5": visits[1],
        "0.41667": mean, "1.0417": visits[1] * mean, "1.5278": surrogate,
    }  # fmt: skip


@answers("3.2")
def left_of_a_batch():
    actions = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-(actions**2) / 2) / math.sqrt(2 * math.pi)
    worth = []
    for kl in (0.01, 1.0):
        mu = math.sqrt(2 * kl)
        ratio = torch.exp(mu * actions - mu**2 / 2)
        worth.append(2048 / torch.trapezoid(density * ratio**2, actions).item())
    return {"2,007": worth[0], "277": worth[1]}


@answers("3.3")
def whole_episodes():
    return {"52.5": math.prod([1.02] * 200), "1.9 %": 1.02**-200, "98 %": 1 / 1.02}


@answers("3.4")
def first_order():
    h = 1e-4
    j = [staying(0.5 + x)[0][1] for x in (-h, 0.0, h, 0.05)]
    surrogate = [staying(0.5 + x)[4] for x in (-h, h, 0.05)]
    bend = (j[2] - 2 * j[1] + j[0]) / h**2
    assert (surrogate[1] - surrogate[0]) / (2 * h) == pytest.approx((j[2] - j[0]) / (2 * h), 1e-5)
    return {
        "2.778": (j[2] - j[0]) / (2 * h), "7.407": bend, "0.98214": j[3], "0.97222": surrogate[2],
        "0.00992": j[3] - surrogate[2], "0.00926": bend * 0.05**2 / 2, "0.8333": j[1],
    }  # fmt: skip


@answers("4.1")
def three_distances():
    old, new = np.array([0.5, 0.5]), np.array([0.6, 0.4])
    kl = bounds.kl_divergence(old, new)
    assert old @ abs(new / old - 1) / 2 == pytest.approx(bounds.total_variation(old, new))
    return {
        "0.1": bounds.total_variation(old, new), "1.2": new[0] / old[0], "0.8": new[1] / old[1],
        "0.2": old @ abs(new / old - 1), "0.0204": kl, "0.101": math.sqrt(kl / 2),
        "0.143": math.sqrt(kl),
    }  # fmt: skip


@answers("4.2")
def price_of_the_horizon():
    short, long = (2 * g * 0.1 * 0.05 / (1 - g) ** 2 for g in (0.9, 0.99))
    return {"0.9": short, "99": long, "110": long / short}


@answers("4.3")
def mixture():
    omega = np.linspace(0, 0.02, 2_000_001)
    gain = omega - 2 * 0.9 * 0.5 * omega**2 / 0.1**2
    return {"0.00556": omega[gain.argmax()], "0.00278": gain.max(), "360": 1 / gain.max()}


@answers("4.4")
def far_and_safe():
    old, new = np.full(3, 1 / 3), np.array([0.0, 0.0, 1.0])
    assert new @ np.array([1.0, -1.0, 0.0]) == 0
    alpha = bounds.total_variation(old, new)

    def penalty(gamma):
        return 4 * gamma * alpha**2 / (1 - gamma) ** 2

    assert penalty(9 / 25) == pytest.approx(1 / (1 - 9 / 25))  # all that can be lost
    return {"0.667": alpha, "0.9": 0.9, "160": penalty(0.9), "10": 1 / (1 - 0.9)}


@answers("5.1")
def order_of_arguments():
    narrow, wide = gaussian(0.0, 1.0), gaussian(0.0, 2.0)
    return {
        "0.318": kl_divergence(narrow, wide).item(), "0.807": kl_divergence(wide, narrow).item(),
    }  # fmt: skip


@answers("5.2")
def natural_step_of_a_gaussian():
    def kl(change):
        new = DiagonalGaussian(change[:1, None], math.log(0.5) + change[1:, None])
        return kl_divergence(gaussian(0.0, 0.5), new).mean()

    zero, g = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 1.0], dtype=torch.float64)
    fisher = torch.autograd.functional.hessian(kl, zero)
    x = torch.linalg.solve(fisher, g)
    step = natural_step(x, g @ x, 0.02)
    return {
        "0.75": x[0].item(), "0.5": x[1].item(), "2.75": (g @ x).item(),
        "0.0905": step[0].item(), "0.0603": step[1].item(), "0.0180": kl(step).item(),
    }  # fmt: skip


@answers("5.3")
def singular_and_solvable():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    a = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    fisher, g = torch.diag(p) - torch.outer(p, p), p * (a - p @ a)
    assert torch.allclose(fisher @ torch.ones_like(p), torch.zeros_like(p))
    assert torch.allclose(fisher @ a, g)
    x = conjugate_gradient(lambda v: fisher @ v, g, iterations=3).x
    assert x[1] == pytest.approx(x[2])
    return {
        "-0.3": g[1].item(), "-0.2": g[2].item(), "1.333": x[0].item(), "-0.667": x[1].item(),
    }  # fmt: skip


@answers("5.4")
def written_differently():
    phi = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(phi**3, phi)[0].item()
    led = (2 + slope / slope**2) ** 3
    return {"12": slope, "144": slope**2, "9.042": led, "0.042": led - 9}


@answers("6.1")
def never_built():
    policy = GaussianPolicy(17, 6, torch.Generator(), hidden=(64, 64))
    count = sum(p.numel() for p in policy.parameters())
    return {"5{,}708": count, "130": count**2 * 4 / 1e6, "3,006": 500 * 6 + 6}


@answers("6.2")
def not_detached():
    g = torch.tensor([3.0, -4.0], dtype=torch.float64)
    result = conjugate_gradient(lambda v: 0.1 * v, g)
    assert result.iterations == 1
    step = natural_step(result.x, result.x @ (0.1 * result.x), 0.01)
    return {"0.447": step.norm().item()}


@answers("6.3")
def matrices_that_part():
    def kl(theta):
        p, old = torch.sigmoid(theta**2), torch.sigmoid(torch.ones((), dtype=torch.float64))
        return old * (old / p).log() + (1 - old) * ((1 - old) / (1 - p)).log()

    def both(at):
        theta = torch.tensor(at, dtype=torch.float64)
        p = torch.sigmoid(theta**2)
        hessian = torch.autograd.functional.hessian(kl, theta)
        return hessian.item(), (p * (1 - p) * 4 * theta**2).item(), p.item()

    assert both(1.0)[0] == pytest.approx(both(1.0)[1])
    hessian, newton, p = both(0.5)
    return {
        "0.786": both(1.0)[1], "0.562": p, "0.731": both(1.0)[2], "0.246": newton,
        "-0.338": hessian - newton, "-0.092": hessian,
    }  # fmt: skip


@answers("6.4")
def few_samples():
    p = 0.9
    fisher = p * (1 - p) ** 2 + (1 - p) * p**2
    return {
        "0.09": fisher, "0.349": p**10, "0.1": 1 - p, "0.01": (1 - p) ** 2,
        "3": math.sqrt(fisher / (1 - p) ** 2),
    }  # fmt: skip


@answers("7.1")
def two_steps():
    a, b = torch.diag(torch.tensor([1.0, 4.0])).double(), torch.ones(2).double()
    iterates = conjugate_gradient(lambda v: a @ v, b, iterations=2, keep_iterates=True).iterates
    first_x, x = iterates[-2], iterates[-1]
    r = b - a @ first_x
    beta = (r @ r) / (b @ b)
    p = r + beta * b
    length = (r @ r) / (r @ a @ r)
    steepest = first_x + length * r
    assert abs(b @ a @ p) < 1e-12
    return {
        "0.4": first_x[0].item(), "0.6": r[0].item(), "-0.6": r[1].item(), "0.36": beta.item(),
        "0.96": p[0].item(), "-0.24": p[1].item(), "0.625": ((x - first_x)[0] / p[0]).item(),
        "0.25": x[1].item(), "-0.96": (a @ p)[1].item(), "0.64": steepest[0].item(),
        "0.16": steepest[1].item(), "36 per cent": (1 - steepest / x)[0].item(),
    }  # fmt: skip


@answers("7.2")
def how_many_products():
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(60, 12, generator=generator, dtype=torch.float64))
    fisher = basis @ torch.diag(torch.arange(1, 13).double()) @ basis.T
    products = {}
    for name, b in {
        "13": torch.randn(60, generator=generator, dtype=torch.float64),
        "12": fisher @ torch.randn(60, generator=generator, dtype=torch.float64),
    }.items():
        result = conjugate_gradient(lambda v: fisher @ v + 0.1 * v, b, 40, tolerance=1e-8)
        products[name] = result.iterations
    return products


@answers("7.3")
def condition_number():
    k = np.arange(400)
    return {
        "27": first(2 * (9 / 11) ** k <= 0.01), "231": first((99 / 101) ** k <= 0.01),
    }  # fmt: skip


@answers("7.4")
def damping_as_a_filter():
    large, middle, small = np.array([10, 0.1, 0.001]) / (np.array([10, 0.1, 0.001]) + 0.1)
    return {"0.990": large, "0.5": middle, "0.0099": small}


@answers("8.1")
def which_trial():
    trials = {1.0: (0.0010, 0.019), 0.5: (0.0015, 0.006), 0.25: (0.0018, 0.0015)}

    def returned(promise):
        theta = torch.zeros(1)

        def evaluate():
            fraction = theta.item()
            return trials[fraction] if fraction else (0.0, 0.0)

        search = backtracking_line_search(
            evaluate, [theta], torch.ones(1), promise, 0.01, backtrack_factor=0.5, max_steps=3
        )
        return theta.item() if search.accepted else None

    forgetful = [f for f, (gain, kl) in trials.items() if gain > 0.1 * 0.02 and kl <= 0.01]
    assert forgetful == []
    return {
        "0.0015": trials[0.5][0], "0.5": returned(0.02), "0.002": 0.1 * 0.02,
        "0.001": 0.1 * 0.5 * 0.02, "0.25": max(trials, key=lambda f: trials[f][0]),
    }  # fmt: skip


@answers("8.2")
def other_units():
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    first_action = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    advantages = torch.tensor([-1.0, 0.0, -1.0, 1.0], dtype=torch.float64)

    def slope(weights):
        p = torch.sigmoid(logit)
        log_probs = torch.where(first_action > 0, p.log(), (1 - p).log())
        return torch.autograd.grad(((log_probs - log_probs.detach()).exp() * weights).mean(), logit)

    return {
        "-0.375": slope(advantages)[0].item(), "0.125": slope(advantages + 2)[0].item(),
        "0.25": slope(torch.ones(4, dtype=torch.float64))[0].item(), "-0.5": -1 * 0.5,
    }  # fmt: skip


@answers("8.3")
def gives_up():
    return {"0.134": 0.8**9, "0.00195": 0.5**9}


@answers("9.1")
def force_received():
    draws = np.linspace(-9, 11, 400_001)

    def mean(values, m=1.0):
        return np.trapezoid(stats.norm.pdf(draws, m) * values, draws)

    received = np.minimum(draws, 1.0)
    score, value = received - 1.0, mean(received)
    slope = (mean(received, 1.001) - mean(received, 0.999)) / 0.002
    centred = mean(score * (received - value))
    assert mean((draws - 1) * received) == pytest.approx(slope, abs=1e-5)
    assert mean(score * (received + 10 - mean(received + 10))) == pytest.approx(centred)
    density = [stats.norm.logpdf((3.0, 1.0), m) for m in (1.0, 1.2)]
    ratio = np.exp(density[1] - density[0])
    return {
        "-0.3989": mean(score), "0.5": slope, "0.101": mean(score * received), "0.601": value,
        "0.341": centred, "-3.888": mean(score * (received + 10)), "1.462": ratio[0],
        "0.980": ratio[1], "0.579": 1 - stats.norm.cdf(1.0, 1.2), "0.2": 1.2 - 1,
        "0.02": (1.2 - 1) ** 2 / 2,
    }  # fmt: skip


@answers("9.2")
def price_of_certainty():
    def kl(mean_change, log_change, std=1.0):
        return kl_divergence(
            gaussian(0.0, std), gaussian(mean_change, std * math.exp(log_change))
        ).item()

    x = 0.05
    assert 4 * kl(0.0, -0.001) == pytest.approx(4 * 0.001**2, rel=0.01)  # the quadratic model
    narrowed = 4 * kl(0.0, math.log(2 / 3))
    for far, std in ((math.sqrt(0.02), 1.0), (0.1 * math.sqrt(0.02), 0.1)):
        assert kl(far, 0.0, std) == pytest.approx(0.01)
    assert 4 * kl(0.0, -x) > 0.01 > 4 * kl(0.0, -0.8 * x)
    assert math.exp(-0.8 * x * 58) <= 0.1 < math.exp(-0.8 * x * 57)
    return {
        "0.05": math.sqrt(0.01 / 4), "0.01034": 4 * kl(0.0, -x), "0.00657": 4 * kl(0.0, -0.8 * x),
        "0.04": 0.8 * x, "57.6": math.log(10) / (0.8 * x), "0.02": 2 * 0.01,
        "0.141": math.sqrt(0.02), "0.0141": 0.1 * math.sqrt(0.02), "1.5": 1 / (2 / 3),
        "0.878": narrowed, "0.00878": narrowed / 100,
    }  # fmt: skip


@answers("9.3")
def two_draws_or_both_actions():
    p, q, score = np.array([0.9, 0.1]), np.array([6.0, 5.0]), np.array([0.1, -0.9])

    def path(baseline, correlation=0.0):
        """Variance of the mean of two draws, over all four pairs of actions."""
        moment = mean = 0.0
        for a, b in np.ndindex(2, 2):
            signal = (score[a] * (q[a] - baseline) + score[b] * (q[b] - baseline)) / 2
            noise = score[a] ** 2 + score[b] ** 2 + 2 * correlation * score[a] * score[b]
            moment += p[a] * p[b] * (signal**2 + noise / 4)
            mean += p[a] * p[b] * signal
        return moment - mean**2

    logit = torch.tensor(math.log(9.0), dtype=torch.float64, requires_grad=True)
    chances = torch.stack([torch.sigmoid(logit), torch.sigmoid(-logit)])
    by_sample = np.array(
        [torch.autograd.grad(x, logit, retain_graph=True)[0].item() for x in chances]
    )
    noise = np.array([[1.0, 0.5], [0.5, 1.0]])  # covariance of the vine's two samples
    value, both = p @ q, by_sample @ by_sample
    assert path(0.0, 0.5) == pytest.approx(path(0.0))  # common noise leaves it
    assert path(value) / 20 < both < path(0.0) / 20
    return {
        "0.09": by_sample @ q, "0.1": score[0], "-0.9": score[1], "5.9": value,
        "2.439": p @ (score**2 * (q**2 + 1)), "1.215": path(0.0),
        "0.1557": p @ (score**2 * ((q - value) ** 2 + 1)), "0.0738": path(value), "0.0162": both,
        "0.0608": path(0.0) / 20, "0.00369": path(value) / 20,
        "0.0081": by_sample @ noise @ by_sample,
    }  # fmt: skip


@answers("10.1")
def dead_or_alive():
    ratio = torch.tensor([1.3, 0.7, 1.3, 0.7], dtype=torch.float64)
    advantages = torch.tensor([2.0, 2.0, -1.0, -1.0], dtype=torch.float64)
    log_probs, old = ratio.log().requires_grad_(), torch.zeros(4, dtype=torch.float64)
    each = [
        -ppo_clip_loss(log_probs[i : i + 1], old[i : i + 1], advantages[i : i + 1], 0.2)
        for i in range(4)
    ]
    whole = -ppo_clip_loss(log_probs, old, advantages, 0.2)
    (slope,) = torch.autograd.grad(whole, log_probs)
    assert (slope != 0).tolist() == [False, True, True, False]
    names = ("2.4", "1.4", "-1.3", "-0.8")
    return {**dict(zip(names, (x.item() for x in each), strict=True)), "0.425": whole.item()}


@answers("10.2")
def three_estimates():
    old, new = categorical(0.5, 0.5), categorical(0.75, 0.25)
    log_ratio = torch.tensor([0.75, 0.25], dtype=torch.float64).log() - math.log(0.5)
    values = {"k1": -log_ratio, "k2": log_ratio**2 / 2, "k3": log_ratio.expm1() - log_ratio}
    for name, value in values.items():  # each action once is the old policy's own mixture
        estimate = approx_kl(
            log_ratio + math.log(0.5), torch.full_like(log_ratio, math.log(0.5)), name
        )
        assert estimate.item() == pytest.approx(value.mean().item())
    kl = kl_divergence(old, new).item()
    deviation = {name: value.std(correction=0).item() for name, value in values.items()}
    assert values["k1"].mean().item() == pytest.approx(kl)
    assert values["k3"].mean().item() == pytest.approx(kl)
    assert round(deviation["k1"] / deviation["k3"]) == 11
    return {
        "0.1438": kl, "0.1612": values["k2"].mean().item(), "0.549": deviation["k1"],
        "0.049": deviation["k3"],
    }  # fmt: skip


@answers("10.3")
def price_that_follows():
    beta, seen = 1.0, []
    for kl in (0.02, 0.02, 0.012, 0.004):
        beta = adapt_beta(beta, kl, 0.01)
        seen.append(beta)
    assert "(a) 2, 4, 4, 2." in BANK["10.3"].answer
    assert seen == [2, 4, 4, 2]
    return {"2": seen[-1]}


@answers("10.4")
def first_minibatch():
    log_probs = torch.tensor([-0.3, -1.2, -2.0], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    slopes = [
        torch.autograd.grad(ppo_clip_loss(log_probs, log_probs.detach(), advantages, e), log_probs)[
            0
        ]
        for e in (0.01, 0.2, 0.9)
    ]
    assert all(torch.allclose(slope, -advantages / 3) for slope in slopes)
    return {"1": 1.0}


@answers("10.5")
def ratios_that_obey():
    r = np.linspace(0.8, 1.2, 100_001)
    price = r - 1 - np.log(r)
    assert price.max() == price[0]
    sharper = (price[0] + price[-1]) / 2  # half of the weight at each end has the mean 1
    claim("0.0204", sharper)
    return {"0.1": abs(r - 1).max() / 2, "0.0231": price[0], "0.0177": price[-1]}


@answers("11.1")
def one_norm():
    def clipped(critic):
        """Lengths of the whole before, and of the policy's part after the clip."""
        policy, other = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        policy.grad = torch.tensor([0.18, -0.24], dtype=torch.float64)
        other.grad = torch.tensor([0.0, critic], dtype=torch.float64)
        whole = torch.nn.utils.clip_grad_norm_([policy, other], 0.5)
        return whole.item(), policy.grad.norm().item()

    def adam(factors):
        """The way of one parameter whose gradients are alternately 0.3 and -0.2."""
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([x], lr=0.01, eps=1e-12)
        for k in range(40):
            x.grad = torch.full_like(x, factors[k % 2] * (0.3, -0.2)[k % 2])
            optimizer.step()
        return x.item()

    (long, cut), (short, whole) = clipped(4.0), clipped(0.4)
    factor = cut / 0.3
    assert round(whole / cut) == round(1 / factor) == 8
    assert adam((factor, factor)) == pytest.approx(adam((1.0, 1.0)))
    assert adam((1.0, 1.0)) < 0 < adam((factor, 1.0))  # its own sign turns
    return {"4.011": long, "0.1246": factor, "0.0374": cut, "0.5": short, "0.3": whole}


@answers("11.2")
def agrees_with_itself():
    generator = np.random.default_rng(0)
    centred = np.column_stack([np.ones(50), generator.normal(size=(50, 3))])
    basis = np.linalg.qr(centred)[0][:, 1:] * math.sqrt(50)  # means 0, variances 1, uncorrelated

    def explained(c, alike, reward_std, gamma=0.99):
        values = c * basis[:, 0]
        after = c * (alike * basis[:, 0] + math.sqrt(1 - alike**2) * basis[:, 1])
        return explained_variance(values, reward_std * basis[:, 2] + gamma * after)

    assert explained(7.0, 0.95, 0.0) == pytest.approx(explained(1.0, 0.95, 0.0))
    return {
        "0.881": 2 * 0.99 * 0.95 - 1, "0.9801": 0.99**2, "0.899": explained(1.0, 0.95, 0.0),
        "-0.0102": explained(1.0, 0.5, 0.0), "0.0087": explained(0.1, 0.95, 1.0),
        "-0.09": explained_variance(3 * basis[:, 0], 10 * basis[:, 2]),
        "0.890": explained(10.0, 0.95, 1.0),
    }  # fmt: skip


@answers("11.3")
def ten_ratios():
    batches = [[1.19] * 5 + [0.81] * 5, [1.0] * 9 + [0.01], [1.0] * 9 + [5.0]]
    seen = []
    for batch in batches:
        new = torch.tensor(batch, dtype=torch.float64).log()
        old = torch.zeros_like(new)
        outside = (abs(new.exp() - 1) > 0.2).double().mean().item()
        size, kl = effective_sample_size(new, old).item(), approx_kl(new, old, "k3").item()
        seen.append((outside, size, kl))
    assert [x[0] for x in seen] == pytest.approx([0, 0.1, 0.1])
    low = np.arange(101) / 100  # shares of 0.8 beside 1.2: the ends are the worst case
    share = (0.8 * low + 1.2 * (1 - low)) ** 2 / (0.64 * low + 1.44 * (1 - low))
    random = np.random.default_rng(0).uniform(0.8, 1.2, (2_000, 10))
    assert (random.mean(1) ** 2 / (random**2).mean(1)).min() > share.min()
    return {
        "0.1": seen[1][0], "0.965": seen[0][1], "0.0184": seen[0][2], "0.902": seen[1][1],
        "0.362": seen[1][2], "0.576": seen[2][1], "0.239": seen[2][2], "0.96": share.min(),
    }  # fmt: skip


@answers("12.1")
def alive_and_dead():
    now, goal = [3.1, 3.5, 3.5, 3.5, 2.5], [5.0, 5.0, 3.4, 3.3, 5.0]

    def slopes(worse, unit=1.0):
        value, target = (unit * torch.tensor(x, dtype=torch.float64) for x in (now, goal))
        value.requires_grad_()
        old = torch.full_like(target, 3.0 * unit)
        held = torch.clamp(value, old - 0.2, old + 0.2)
        loss = worse((value - target) ** 2, (held - target) ** 2).sum() / 2
        if worse is torch.maximum:
            assert loss.item() == pytest.approx(5 * value_loss(value, target, old, 0.2).item())
        return torch.autograd.grad(loss, value)[0].tolist()

    largest, least = slopes(torch.maximum), slopes(torch.minimum)
    tenth = slopes(torch.maximum, 0.1)
    assert largest == pytest.approx([-1.9, 0, 0, 0.2, -2.5])
    assert least == pytest.approx([-1.9, -1.5, 0.1, 0, 0])
    names = ("-0.19", "-0.15", "0.01", "0.02", "-0.25")
    return {
        "-1.9": largest[0], "0.2": largest[3], "-2.5": largest[4], "3.2": 3 + 0.2,
        "-1.5": least[1], "0.1": least[2], "2.5": abs(2.5 - 5), **dict(zip(names, tenth, strict=True)),
    }  # fmt: skip


@answers("12.2")
def one_reward_at_the_end():
    def paid(steps, reward=1.0, gamma=0.98, clip=None, episodes=20):
        """What the library's scaler makes of the last reward of the last episode."""
        scaler = RewardScaler(2, gamma, clip=clip)
        for t in range(episodes * steps):
            last = np.full(2, t % steps == steps - 1)
            scaled = scaler(reward * last, last, np.ones(2, dtype=bool))
        return scaled[0]

    assert paid(25, reward=50.0) == pytest.approx(paid(25), abs=1e-5)
    assert paid(25, gamma=0.5) == pytest.approx(paid(25))
    assert paid(98, clip=10.0) == paid(98) < 10 == paid(99, clip=10.0) < paid(99)
    return {
        "20.03": paid(400), "5.10": paid(25), "99": 99, "9.95": paid(98),
        "0.255": paid(25) / paid(400),
    }  # fmt: skip


@answers("12.3")
def nine_arms():
    def deals(one, other):
        """Of all ways to deal the scores out: how many differ as much, and how many there are."""
        scores = np.array([*one, *other], dtype=float)
        chosen = list(itertools.combinations(scores, len(one)))
        gaps = abs(2 * np.sum(chosen, axis=1) - scores.sum())
        return (gaps >= abs(sum(one) - sum(other))).sum(), len(chosen)

    def least(n):
        return np.divide(*deals(range(n), range(n, 2 * n)))

    base = (345, 340, 330, 310)
    found, ways = deals(base, (335, 20, 15, -25))
    assert (found, ways) == (6, 70)
    assert deals(base, base) == (70, 70)
    distinct = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
    rates = [
        np.divide(*deals(distinct[list(i)], np.delete(distinct, i)))
        for i in itertools.combinations(range(8), 4)
    ]
    one, second = np.mean(np.array(rates) <= 0.05), np.unique(rates)[1]
    assert least(6) <= 0.05 / 9 < least(5) <= 0.05 / 6 < least(4)
    return {
        "0.0857": found / ways, "0.029": one, "0.057": second, "0.230": 1 - (1 - one) ** 9,
        "0.00556": 0.05 / 9, "0.00794": least(5), "0.00216": least(6), "0.00833": 0.05 / 6,
    }  # fmt: skip


@answers("14.1")
def five_lines():
    returns, values = torch.randn(6), torch.randn(6, 1)
    wrong = returns - values
    assert wrong.shape == (6, 6)
    assert torch.allclose(wrong.mean(0), returns - values.mean())
    new, old = torch.tensor([0.75, 0.25]).log(), torch.tensor([0.5, 0.5]).log()
    assert (new - old).mean() < 0  # each action once is the old policy's own mixture
    good = torch.tensor(1.0)
    for ratio, has_gradient in ((1.5, True), (0.5, False)):
        r = torch.tensor(ratio, requires_grad=True)
        torch.max(r * good, r.clamp(0.8, 1.2) * good).backward()
        assert bool(r.grad) is has_gradient
    return {"1.2": 1.2, "0.8": 0.8}


def wilson(p, n, z=1.96):
    """The rates whose distance from p is z of their own standard deviations, found by bisection."""

    def too_far(q):
        return (p - q) ** 2 > z**2 * q * (1 - q) / n

    def limit(inside, outside):
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if too_far(middle) else (middle, outside)
        return inside

    return limit(p, 0.0) if p > 0 else 0.0, limit(p, 1.0)


def middle_half(scores):
    return stats.trim_mean(scores, 0.25)


@answers("13.1")
def what_the_number_does_not_see():
    one = [352, 351, 350, 349, 348, 347, -28, -30]
    two = [-28 if score == 347 else score for score in one]
    low, high = wilson(0.25, 8)
    return {
        "254.875": np.mean(one), "348.5": middle_half(one), "208.0": np.mean(two),
        "254.75": middle_half(two), "0.25": np.mean(np.array(one) < 0), "0.071": low,
        "0.591": high,
    }  # fmt: skip


@answers("13.2")
def it_worked_with_all_five():
    enough = first(np.array([wilson(0.0, n)[1] for n in range(1, 60)]) < 0.1) + 1
    return {
        "0.8": 1 - 1 / 5, "0.328": stats.binom.pmf(0, 5, 0.2), "0.434": wilson(0.0, 5)[1],
        "0.1": 0.1, "34.6": 1.96**2 * (1 / 0.1 - 1), "35": enough,
    }  # fmt: skip


@answers("13.3")
def the_best_of_four_equals():
    x = np.linspace(-9, 9, 20_001)
    best = np.trapezoid(x * 4 * stats.norm.cdf(x) ** 3 * stats.norm.pdf(x), x)
    return {"1.029": best, "10.29": 10 * best, "5.15": 10 / np.sqrt(4) * best}


@answers("14.2")
def ended_episodes():
    generator = np.random.default_rng(0)
    lengths = generator.choice([20, 500], size=(4000, 5))
    ends = lengths.cumsum(1)
    return {"260": 0.5 * 20 + 0.5 * 500, "20": lengths[ends <= 100].mean()}


@answers("14.3")
def at_the_time_limit():
    v = 1 / (1 - 0.99)
    return {
        "100": v, "-99": 1 - v, "0.9405": 0.99 * 0.95, "0.293": (0.99 * 0.95) ** 20,
        "-29.0": (0.99 * 0.95) ** 20 * (1 - v),
    }  # fmt: skip


@answers("15.1")
def one_right_answer():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    loo, grpo = rloo_advantages(rewards)[0], grpo_advantages(rewards, epsilon=0.0)[0]
    assert loo[0] == pytest.approx(1)
    return {
        "-0.333": loo[1].item(), "0.25": rewards.mean().item(),
        "0.433": rewards.std(correction=0).item(), "1.732": grpo[0].item(),
        "-0.577": grpo[1].item(),
    }  # fmt: skip


@answers("15.2")
def groups_that_teach_nothing():
    def chance(p):
        k = np.arange(1, 8)
        return sum(math.comb(8, int(i)) * p**i * (1 - p) ** (8 - i) for i in k)

    weight = [1 / math.sqrt(p * (1 - p)) for p in (0.5, 0.95)]
    return {
        "0.570": chance(0.1), "0.149": chance(0.02), "2": weight[0], "4.59": weight[1],
        "2.29": weight[1] / weight[0],
    }  # fmt: skip


@answers("15.3")
def many_small_ratios():
    return {"1.331": 1.1**3, "13{,}781": 1.1**100, "1.1": math.exp(math.log(1.1**100) / 100)}


@answers("15.4")
def whose_gradient():
    logit = torch.tensor(math.log(0.7 / 0.3), dtype=torch.float64, requires_grad=True)
    policy = torch.stack([torch.sigmoid(logit), torch.sigmoid(-logit)])
    reference, p = torch.tensor([0.5, 0.5], dtype=torch.float64), policy.detach()
    log_ratio = (policy / reference).log()
    losses = {
        "0.178": policy @ log_ratio,
        "0": p @ log_ratio,
        "k2": p @ (log_ratio**2 / 2),
        "0.2": p @ (torch.exp(-log_ratio) - 1 + log_ratio),
        "reverse": reference @ (reference / policy).log(),
    }
    slopes = {
        name: torch.autograd.grad(loss, logit, retain_graph=True)[0].item()
        for name, loss in losses.items()
    }
    assert slopes.pop("k2") == pytest.approx(slopes["0.178"])
    assert slopes.pop("reverse") == pytest.approx(slopes["0.2"])
    return {**slopes, "0.7": p[0].item(), "0.3": p[1].item()}


def says(text, number):
    """Whether a text holds a number as it is printed, not as a part of another one."""
    return re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", text) is not None


@pytest.mark.parametrize("number", BANK)
def test_the_numbers_of_an_answer_are_computed(number):
    computed = COMPUTED.get(number, dict)()
    question = BANK[number]
    for printed, value in computed.items():
        assert says(question.answer, printed), f"{number} does not say {printed}"
        claim(printed.replace("{,}", ","), float(value))
    told = {word.replace(" ", "").rstrip("%") for word in computed}
    given = {word.replace(" ", "") for word in DECIMAL.findall(question.question)}
    for found in DECIMAL.findall(question.answer):
        word = found.replace(" ", "").rstrip("%")
        assert word in told | given or word.lstrip("-") in told | given, f"{found} is not computed"


def test_every_chapter_has_three_questions_or_more():
    chapters = [int(number.split(".")[0]) for number in BANK]
    assert {c: chapters.count(c) >= 3 for c in chapters} == dict.fromkeys(CHAPTERS, True)
    assert len(BANK) >= 30
    assert set(COMPUTED) <= set(BANK)


@pytest.mark.parametrize("question", BANK.values(), ids=BANK)
def test_a_question_is_complete(question):
    assert len(question.question.split()) > 20
    assert len(question.answer.split()) > 10
    assert len(question.marking.split()) > 2
    dollars = question.question.count("$") + question.answer.count("$")
    assert dollars % 2 == 0


def test_a_sheet_has_no_answers():
    page = sheet(ROOT, ["8.1", "2.1"])
    assert page.index(BANK["8.1"].question) < page.index(BANK["2.1"].question)
    assert "2 questions, 15 points." in page
    for number in ("8.1", "2.1"):
        assert BANK[number].answer[:40] not in page
        assert BANK[number].marking[:40] not in page
    assert "Answer" not in page


def test_the_command_names_a_question_that_is_missing(capsys):
    assert main(["8.1", "9.9"]) == 1
    assert "no question 9.9" in capsys.readouterr().err
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(BANK)
