"""The updates of chapter 15, its runs, and what its committed runs show."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.language import study
from course_lib.language.grpo import GRPO, grpo_update
from course_lib.language.learner import step_size
from course_lib.language.ppo import PPO, ppo_update, token_advantages, values_of
from course_lib.language.rloo import RLOO, rloo_update
from course_lib.language.sampling import (
    draw_batch,
    exact_accuracy,
    next_token_log_probs,
    of_tokens,
)
from course_lib.language.supervised import pretrained
from course_lib.language.task import addition
from course_lib.language.training import as_if_drawn_by, improve, new_learner
from course_lib.language.trpo import TRPO, trpo_update
from course_lib.parameters import flatten

RESULTS = Path(__file__).resolve().parent.parent / "results" / "language"
TASK = addition(digits=1)


@pytest.fixture(scope="module")
def start():
    """A policy that knows some sums of one digit."""
    return pretrained(TASK, accuracy=0.3, seed=0)


def prepared(start, settings, seed=0):
    learner = new_learner(start, TASK, settings, seed)
    batch = draw_batch(learner.policy, TASK, 16, 8, learner.generator)
    assert 0.1 < batch.rewards.mean() < 0.9
    return learner, batch


def moved(learner, start):
    return (flatten(learner.policy.parameters()) - flatten(start.parameters())).detach()


class Plain:
    """An optimizer that moves by the gradient itself."""

    def __init__(self, parameters):
        self.parameters = list(parameters)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p in self.parameters:
            p -= p.grad


def plain(learner, monkeypatch):
    """Take the optimizer's and the norm's clipping out of an update."""
    learner.optimizer = Plain(learner.policy.parameters())
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: None)


def test_pretraining_stops_at_the_accuracy(start):
    assert 0.25 < exact_accuracy(start, TASK) < 0.6
    with pytest.raises(RuntimeError, match="not reached in 20 steps"):
        pretrained(TASK, accuracy=0.9, most_steps=20)
    at_once = pretrained(TASK, accuracy=1e-6, most_steps=0)
    better = 1.1 * exact_accuracy(at_once, TASK)
    assert exact_accuracy(pretrained(TASK, accuracy=better, most_steps=10), TASK) >= better


def test_the_old_log_probabilities_are_those_of_the_sampler(start):
    learner, batch = prepared(start, RLOO())
    assert step_size(learner.policy, batch) == {
        "kl": pytest.approx(0, abs=1e-7),
        "tv": 0,
        "ratio": 1,
    }
    right = (batch.answers == TASK.answers[rows_of(batch.prompts)]).all(-1)
    torch.testing.assert_close(batch.rewards.flatten(), right.float())


def rows_of(prompts):
    return 10 * prompts[:, 0] + prompts[:, 2]


def test_rloo_steps_along_the_policy_gradient(start, monkeypatch):
    """Its step is the sum over answers of advantage times score, one answer at a time."""
    learner, batch = prepared(start, RLOO())
    plain(learner, monkeypatch)
    policy = pretrained(TASK, accuracy=0.3, seed=0)
    total = 0.0
    for n in range(16):
        for g in range(8):
            row = 8 * n + g
            others = [batch.rewards[n, j].item() for j in range(8) if j != g]
            A = batch.rewards[n, g].item() - np.mean(others)
            if A:
                prompts, answers, _ = batch.take(torch.tensor([row]))
                score = of_tokens(next_token_log_probs(policy, prompts, answers), answers).sum()
                total += A / 128 * flatten(torch.autograd.grad(score, list(policy.parameters())))
    rloo_update(learner, batch, RLOO())
    torch.testing.assert_close(moved(learner, start), total, rtol=1e-3, atol=1e-6)


def test_the_first_clipped_step_is_the_unclipped_one(start, monkeypatch):
    """At the old policy every ratio is 1, whichever ratio it is: one gradient for all."""
    steps = {}
    once = {"epochs": 1, "pieces": 1}
    for name, settings in {
        "clip": GRPO(**once),
        "free": GRPO(clip_low=math.inf, clip_high=math.inf, **once),
        "mean": GRPO(ratio="mean", **once),
        "tv": GRPO(max_tv=0.1, **once),
        "product": GRPO(ratio="product", **once),
        "undivided": GRPO(divide=False, **once),
    }.items():
        learner, batch = prepared(start, settings)
        plain(learner, monkeypatch)
        grpo_update(learner, batch, settings)
        steps[name] = moved(learner, start)
    for name in ("free", "tv", "mean"):
        torch.testing.assert_close(steps[name], steps["clip"], rtol=1e-3, atol=1e-6)
    # The product's ratio has the score of the whole answer, two tokens, behind every token.
    torch.testing.assert_close(steps["product"], 2 * steps["clip"], rtol=1e-3, atol=1e-5)
    assert (steps["undivided"] - steps["clip"]).norm() > 0.1 * steps["clip"].norm()


def test_the_kl_stop_ends_the_passes(start):
    sizes = {}
    for max_kl in (math.inf, 0.03):
        settings = GRPO(epochs=16, pieces=4, clip_low=math.inf, clip_high=math.inf, max_kl=max_kl)
        learner, batch = prepared(start, settings)
        grpo_update(learner, batch, settings)
        sizes[max_kl] = step_size(learner.policy, batch)["kl"]
    assert sizes[math.inf] > 3 * sizes[0.03] > 3 * 0.03


def test_clip_and_tv_mask_hold_the_policy_back(start):
    sizes = []
    for region in ({}, {"max_tv": 0.05}, {"clip_low": 0.05, "clip_high": 0.05}):
        settings = replace(GRPO(epochs=8, clip_low=math.inf, clip_high=math.inf), **region)
        learner, batch = prepared(start, settings)
        grpo_update(learner, batch, settings)
        sizes.append(step_size(learner.policy, batch)["kl"])
    assert max(sizes[1:]) < 0.5 * sizes[0]


def test_the_reference_holds_the_policy_back(start):
    """A strong penalty as k2 keeps the KL to the reference, the start, small; k1 does not."""
    kls = {}
    for estimator in ("k1", "k2", "k3"):
        settings = GRPO(beta=10.0, estimator=estimator)
        learner, batch = prepared(start, settings)
        for _ in range(10):
            grpo_update(learner, batch, settings)
        kls[estimator] = step_size(learner.policy, batch)["kl"]
    assert kls["k2"] < 0.2 * kls["k1"]
    assert kls["k3"] < 0.2 * kls["k1"]


def test_ppos_advantages_are_chapter_twos(start):
    """With a critic of 0 and lambda 1, each token has its answer's reward, normalised."""
    settings = PPO()
    learner, batch = prepared(start, settings)
    with torch.no_grad():
        for p in learner.critic.head.parameters():
            p.zero_()
    advantages, targets = token_advantages(learner.critic, batch, 1.0)
    rewards = batch.rewards.flatten()
    torch.testing.assert_close(targets, rewards[:, None].expand(-1, targets.shape[1]).contiguous())
    expected = (rewards - rewards.mean()) / rewards.std(correction=0)
    for t in range(targets.shape[1]):
        torch.testing.assert_close(advantages[:, t], expected, rtol=1e-4, atol=1e-4)


def test_ppo_fits_its_critic(start):
    settings = PPO(epochs=20)
    learner, batch = prepared(start, settings)
    errors = []
    for _ in range(2):
        values = values_of(learner.critic, batch.prompts, batch.answers)
        errors.append((values - batch.rewards.flatten()[:, None]).square().mean().item())
        ppo_update(learner, batch, settings)
    assert errors[1] < 0.8 * errors[0]
    with pytest.raises(ValueError, match="needs a critic"):
        ppo_update(new_learner(start, TASK, GRPO(), 0), batch, settings)


def test_trpo_stays_inside_and_improves(start):
    settings = TRPO(max_kl=0.01)
    learner, batch = prepared(start, settings)
    trpo_update(learner, batch, settings)
    kl = step_size(learner.policy, batch)["kl"]
    assert 0.001 < kl <= 0.01 * (1 + 1e-3)
    new = next_token_log_probs(learner.policy, batch.prompts, batch.answers)
    ratio = (of_tokens(new, batch.answers) - of_tokens(batch.old, batch.answers)).exp()
    centred = batch.rewards - batch.rewards.mean(1, keepdim=True)
    assert (ratio * centred.view(-1, 1)).mean() > 0


def test_trpo_leaves_a_batch_alone_that_teaches_nothing(start):
    learner, batch = prepared(start, TRPO())
    same = replace(batch, rewards=torch.zeros_like(batch.rewards))
    trpo_update(learner, same, TRPO())
    assert (moved(learner, start) == 0).all()


def test_runs_repeat_and_seeds_differ(start):
    settings = GRPO(prompts=8, group=4)
    one, two, other = (improve(start, TASK, TASK, settings, 3, s, measured=3) for s in (0, 0, 1))
    assert one.accuracy == two.accuracy != other.accuracy
    assert one.samples == [0, 32, 64, 96]
    assert one.accuracy[0] == exact_accuracy(start, TASK)
    with pytest.raises(ValueError, match="measured <= batches"):
        improve(start, TASK, TASK, settings, 3, measured=4)


def test_a_stale_sampler_shows_in_the_ratio_only_if_remembered(start):
    """With a lag, batches come from an older policy; forgetting that hides how far it is."""
    learner, batch = prepared(start, GRPO())
    grpo_update(learner, batch, GRPO(epochs=5))
    assert step_size(learner.policy, batch)["ratio"] > 1.05
    assert step_size(learner.policy, as_if_drawn_by(learner.policy, batch))["ratio"] < 1.001
    settings = GRPO(prompts=16, group=8, epochs=1, pieces=1)
    kept, lost = (
        improve(start, TASK, TASK, settings, 9, lag=4, measured=1, remember_sampler=r)
        for r in (True, False)
    )
    assert kept.steps[8]["kl"] > 2 * lost.steps[8]["kl"]


def test_records_are_kept_and_other_settings_refused(tmp_path, monkeypatch, capsys):
    calls = []

    def record(arm, seed, start):
        calls.append(seed)
        found = {"samples": [0, 96], "accuracy": [0.1, 0.2], "seconds": 1.0, "greedy": 0.3}
        steps = {"kl": [0.1, 0.3], "tv": [0.2, 0.1], "ratio": [1.0, 2.0]}
        return {"job": arm.described(seed), **found, **steps}

    monkeypatch.setattr(study, "run_arm", record)
    monkeypatch.setattr(study, "pretrained", lambda *_, **__: None)
    monkeypatch.setattr(study, "ARMS", {"a": study.Arm(GRPO(), 3, seeds=2)})
    assert study.main(["a", "--folder", str(tmp_path)]) == 0
    (tmp_path / "a" / "0.json").unlink()
    study.main(["a", "--folder", str(tmp_path)])
    assert calls == [0, 1, 0]
    assert sorted(f.name for f in tmp_path.rglob("*") if f.is_file()) == [
        "0.json",
        "1.json",
        "summary.json",
    ]
    (kept, _) = json.loads((tmp_path / "summary.json").read_text())["a"]
    assert (kept["kl"], kept["accuracy"]) == (0.3, [0.1, 0.2])
    assert [r["job"]["seed"] for r in study.load_records(tmp_path)["a"]] == [0, 1]
    assert "a seed 1: J 0.100 -> 0.200" in capsys.readouterr().out
    monkeypatch.setattr(study, "ARMS", {"a": study.Arm(GRPO(divide=False), 3, seeds=2)})
    with pytest.raises(ValueError, match="other settings"):
        study.main(["a", "--folder", str(tmp_path)])
    with pytest.raises(ValueError, match="no arm b"):
        study.main(["b", "--folder", str(tmp_path)])


@pytest.fixture(scope="module")
def records():
    return study.load_records(RESULTS)


@pytest.mark.parametrize("arm", study.ARMS)
def test_every_arm_was_run_with_its_settings(arm):
    for seed in range(study.ARMS[arm].seeds):
        record = json.loads((RESULTS / arm / f"{seed}.json").read_text())
        assert record["job"] == study.ARMS[arm].described(seed)


def test_the_summary_is_of_the_records(tmp_path, monkeypatch):
    shutil.copytree(RESULTS, tmp_path / "language")
    study.write_summary(tmp_path / "language")
    made = (tmp_path / "language" / "summary.json").read_text()
    assert made == (RESULTS / "summary.json").read_text() == study.PACKAGED.read_text()
    assert study.committed_runs() == json.loads(made)
    monkeypatch.setattr(study, "RESULTS", tmp_path / "not there")
    assert study.committed_runs() == json.loads(made)


def gains(records, arm):
    return [r["accuracy"][-1] - r["accuracy"][0] for r in records[arm]]


@pytest.mark.parametrize("arm", ["rloo", "ppo", "grpo"])
def test_each_algorithm_learns_on_each_seed(records, arm):
    assert len(records[arm]) == 5
    assert min(gains(records, arm)) >= 0.35
    assert max(r["seconds"] for r in records[arm]) < 60


@pytest.mark.parametrize(
    ("free", "held"), [("passes-free", "passes-clip-stop"), ("stale-ignored", "stale-clip")]
)
def test_the_region_decides_between_collapse_and_progress(records, free, held):
    assert sum(gain < 0 for gain in gains(records, free)) >= 4
    assert sum(gain > 0 for gain in gains(records, held)) >= 4
    assert len(records[free]) == len(records[held]) == 5
