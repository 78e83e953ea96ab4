"""The studies on exact MDPs: the ledger's steps and the estimates, each checked by another way."""

import json

import numpy as np
import pytest

from course_lib.command_line.main import main
from course_lib.exact import gaps, path_estimates
from course_lib.exact.ledger import ledger_features, ledger_mdp, policy_gradient, softmax_policy
from course_lib.exact.mdp import expected_return, state_distribution
from course_lib.exact.path_estimates import single_path, vine, walk
from course_lib.training.exact_studies import vine_estimates

MDP, FEATURES = ledger_mdp(), ledger_features()


def some_theta(seed=0):
    return np.random.default_rng(seed).normal(size=(5, 3)) / 2


def differences(function, theta, h=1e-6):
    slopes = np.zeros_like(theta)
    for i in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[i] = h
        slopes[i] = (function(theta + step) - function(theta - step)) / (2 * h)
    return slopes


def test_the_surrogate_touches_j_in_value_and_slope():
    theta = some_theta()
    value, slope = gaps.exact_data(theta).surrogate(theta)
    assert value == pytest.approx(0.0, abs=1e-12)
    returns = differences(lambda t: expected_return(MDP, softmax_policy(t, FEATURES)), theta)
    np.testing.assert_allclose(slope, returns, atol=1e-6)


def test_slopes_of_surrogate_and_kl_away_from_the_old_policy():
    data, theta = gaps.exact_data(some_theta()), some_theta(1)
    slope = data.surrogate(theta)[1]
    np.testing.assert_allclose(slope, differences(lambda t: data.surrogate(t)[0], theta), atol=1e-6)
    states = data.pairs.sum(axis=1)
    of_kl = FEATURES.T @ (states[:, None] * data.kl(theta)[1])
    np.testing.assert_allclose(
        of_kl, differences(lambda t: states @ data.kl(t)[0], theta), atol=1e-6
    )


def test_the_fisher_matrix_is_the_curvature_of_the_kl():
    theta = some_theta()
    data, v = gaps.exact_data(theta), some_theta(2)
    h = 1e-3
    kl = data.pairs.sum(axis=1) @ data.kl(theta + h * v)[0]
    assert 2 * kl / h**2 == pytest.approx(v.ravel() @ data.fisher() @ v.ravel(), rel=1e-2)


@pytest.mark.parametrize("worst", [False, True])
def test_the_trust_region_is_reached_and_nothing_inside_is_better(worst):
    theta = np.zeros((5, 3))
    data = gaps.exact_data(theta)
    found = gaps.trust_region(theta, data, 0.01, worst)

    def size(t):
        kl = data.kl(t)[0]
        return kl.max() if worst else data.pairs.sum(axis=1) @ kl

    assert size(found) == pytest.approx(0.01, rel=1e-4)
    best, rng, tried = data.surrogate(found)[0], np.random.default_rng(0), 0
    for scale in (0.003, 0.01, 0.1) * 500:
        other = found + scale * rng.normal(size=(5, 3))
        if size(other) <= 0.01:
            tried += 1
            assert data.surrogate(other)[0] < best
    assert tried > 20


def test_small_steps_of_the_exact_and_the_quadratic_model_agree():
    theta = some_theta()
    data = gaps.exact_data(theta)
    exact = gaps.trust_region(theta, data, 1e-6) - theta
    model = gaps.natural(theta, data, 1e-6) - theta
    policies = [softmax_policy(theta + 100 * step, FEATURES) for step in (exact, model)]
    np.testing.assert_allclose(*policies, atol=3e-3)
    full = gaps.natural(theta, data, 1e-4, 0.0, iterations=15)
    np.testing.assert_allclose(
        softmax_policy(full, FEATURES),
        softmax_policy(gaps.natural(theta, data, 1e-4), FEATURES),
        atol=1e-5,
    )


def test_the_penalty_of_the_theorem_never_lowers_j():
    returns = gaps.trace(lambda t: gaps.penalty(t, gaps.exact_data(t)), 3)
    assert (np.diff(returns) > 1e-3).all()


def test_the_clipped_step_starts_at_the_radius_it_was_given():
    rate, theta = gaps.clip_rate(0.01, 0.2), np.zeros((5, 3))
    data = gaps.exact_data(theta)
    moved = gaps.clipped(theta, data, 0.2, rate)
    assert data.pairs.sum(axis=1) @ data.kl(moved)[0] == pytest.approx(0.01, rel=1e-6)


def test_normalising_changes_no_trust_region_step():
    theta = some_theta()
    data = gaps.normalised(gaps.exact_data(theta))
    assert (data.pairs * data.advantages).sum() == pytest.approx(0.0, abs=1e-12)
    assert (data.pairs * data.advantages**2).sum() == pytest.approx(1.0)
    steps = [gaps.trust_region(theta, d, 0.01) for d in (data, gaps.exact_data(theta))]
    np.testing.assert_allclose(*(softmax_policy(t, FEATURES) for t in steps), atol=1e-3)


def test_walks_visit_the_states_as_often_as_the_chain_says():
    policy = softmax_policy(some_theta(), FEATURES)
    rng = np.random.default_rng(0)
    s, _, _ = walk(MDP, policy, np.zeros(20_000, dtype=int), rng.random((60, 2, 20_000)))
    weights = MDP.gamma ** np.arange(60)
    share = [(weights[:, None] * (s == i)).sum() / weights.sum() / 20_000 for i in range(6)]
    np.testing.assert_allclose(share, state_distribution(MDP, policy), atol=0.01)


@pytest.mark.parametrize("kind", ["path", "baseline", "vine", "independent"])
def test_every_estimate_is_unbiased(kind):
    theta, rng, R = some_theta(), np.random.default_rng(3), 20_000
    if kind in ("path", "baseline"):
        found = single_path(MDP, theta, FEATURES, 60, 60, R, rng, baseline=kind == "baseline")
    else:
        found = vine(MDP, theta, FEATURES, 60, 60, 3, R, rng, common=kind == "vine")
    truth = (1 - MDP.gamma) * policy_gradient(MDP, theta, FEATURES)
    errors = found.std(axis=0) / np.sqrt(R)
    assert (np.abs(found.mean(axis=0) - truth) < 4.5 * errors + 2e-3 * np.abs(truth)).all()


def test_simulator_steps_are_those_that_the_walks_take(monkeypatch):
    taken = []

    def counting(mdp, policy, states, uniforms, first=None):
        taken.append(len(uniforms) * len(states))
        return walk(mdp, policy, states, uniforms, first)

    monkeypatch.setattr(path_estimates, "walk", counting)
    rows = vine_estimates(steps=7, look=5, counts=[2], repeats=3, seed=0)
    assert sum(taken) == 3 * sum(row["simulator_steps"] for row in rows)
    vine_row = rows[0]
    assert vine_row["q_samples"] == 2 * 3
    assert vine_row["simulator_steps"] == 7 + 2 * 3 * (5 + 1)
    single_row = next(row for row in rows if row["estimate"] == "single path")
    assert single_row["simulator_steps"] == single_row["paths"] * (7 + 5)


def test_the_command_runs_a_driver_once(tmp_path, capsys):
    file = tmp_path / "study.toml"
    text = (
        'title = "t"\ndriver = "gap_ledger"\nupdates = 2\nmax_kl = 0.01\nclip_range = 0.2\n'
        "damping = 0.1\nsamples = 100\nseeds = 2\n"
    )
    file.write_text(text)
    assert main(["study", str(file)]) == 0
    kept = tmp_path / "runs" / "gap_ledger.json"
    rows = json.loads(kept.read_text())["rows"]
    assert [r["seed"] for r in rows if r["entry"] == "sampled states"] == [0, 1]
    assert all(len(r["returns"]) == 3 for r in rows)
    before = kept.stat().st_mtime_ns
    assert "tables are in" in capsys.readouterr().out
    assert main(["study", str(file), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert kept.stat().st_mtime_ns == before
    file.write_text(text.replace("seeds = 2", "seeds = 3"))
    assert main(["study", str(file)]) == 1
    assert "was made with other numbers" in capsys.readouterr().err
    file.write_text(text.replace("gap_ledger", "ledger"))
    assert main(["study", str(file)]) == 1
    assert "no driver 'ledger'; there are: gap_ledger, vine" in capsys.readouterr().err
    kept.unlink()
    file.write_text(text.replace("damping", "dampening"))
    assert main(["study", str(file)]) == 1
    assert "given other arguments" in capsys.readouterr().err


def test_the_command_runs_no_smaller_version_of_a_driver(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.toml"
    file.write_text('title = "t"\ndriver = "vine"\n')
    assert main(["study", str(file), "--seeds", "1", "--steps", "9", "--arm", "a"]) == 1
    assert "runs whole and on this machine: leave out --seeds, --steps, --arm" in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == [file]
