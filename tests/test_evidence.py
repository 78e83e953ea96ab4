"""The committed measurements that chapters read, in the repository and in the package."""

import json

import numpy as np
import pytest

from course_lib.algorithms.ppo import PPOSettings
from course_lib.training import evidence as module
from course_lib.training import ladder_evidence
from course_lib.training.ablation_evidence import ablation
from course_lib.training.evidence import PACKAGED, SOURCES, evidence
from course_lib.training.run import Run
from course_lib.training.study_records import write_run
from course_lib.training.study_run import Job, run_job


@pytest.mark.parametrize("name", SOURCES)
def test_the_packages_copy_is_that_of_the_repository(name, monkeypatch, tmp_path):
    here = evidence(name)
    assert here
    monkeypatch.setattr(module, "RESULTS", tmp_path / "none")
    # As text, for NaN is not equal to itself.
    assert json.dumps(evidence(name)) == json.dumps(here)


def test_benchmark_runs_come_by_seed_and_end_where_they_arrive():
    found = evidence("trpo-benchmarks")
    assert [len(sides["ours"]) for sides in found.values()] == [5, 10, 5]
    ten = found["CartPoleSwingUp-v0"]["ours"]
    assert [run["seed"] for run in ten] == list(range(10))
    for run in ten:
        steps, _, means = np.array(run["scores"]).T
        assert run["arrived"] == bool((means >= 333).any())
        assert run["steps"] == (steps[means >= 333][0] if run["arrived"] else 1_000_000)


def test_the_earlier_preset_comes_by_seed_and_alone():
    runs = evidence("swingup-seeds")
    assert [run["job"]["seed"] for run in runs] == list(range(110, 117))
    assert {run["job"]["settings"]["entropy_coef"] for run in runs} == {-0.005}


def test_the_ladder_has_every_arm_and_its_runs_by_seed():
    from course_lib.training.evidence import RESULTS
    from course_lib.training.study_records import load_runs
    from course_lib.training.study_tables import final_score

    found = evidence("ladder")
    assert found["solved"]["CartPoleSwingUp-v0"] == 330
    assert "lander-sb3-ddpg" in found["arms"]
    runs = found["arms"]["swingup-ppo"]["runs"]
    whole = load_runs(RESULTS / "ladder" / "runs", ["swingup-ppo"])
    assert [run["seed"] for run in runs] == [r["job"]["seed"] for r in whole]
    for run, record in zip(runs, whole, strict=True):
        assert run["score"] == pytest.approx(final_score(record), abs=0.006)
        assert run["mean"] == pytest.approx(record["evaluations"]["mean"], abs=0.06)


def test_the_ablation_sorts_every_arm_by_its_baseline_and_its_switch():
    import dataclasses

    from course_lib.training.evidence import RESULTS
    from course_lib.training.study_file import read_study
    from course_lib.training.study_records import load_runs
    from course_lib.training.study_tables import final_score

    found = evidence("ablation")
    jobs = {job.arm: job for job in read_study(RESULTS / "ablation" / "study.toml").jobs}
    for group, told in found.items():
        assert told["bar"] == {"CartPoleSwingUp-v0": 330}.get(told["env_id"], 200)
        for base, word in (("all", "minus"), ("none", "plus")):
            assert len(told[base]) == 10  # the baseline itself, and nine switches
            plain = dataclasses.asdict(jobs[f"{group}-{base}"].settings)
            for switch, runs in told[base].items():
                arm = f"{group}-{base}" + (f"-{word}-{switch}" if switch else "")
                changed = dataclasses.asdict(jobs[arm].settings)
                assert {k for k in plain if changed[k] != plain[k]} == ({switch} - {""})
                whole = load_runs(RESULTS / "ablation" / "runs", [arm])
                assert [run["seed"] for run in runs] == [r["job"]["seed"] for r in whole]
                for run, record in zip(runs, whole, strict=True):
                    assert run["score"] == pytest.approx(final_score(record), abs=0.006)
                    assert run["kl"] == record["updates"]["kl"]


def test_a_run_that_diverged_is_evidence_without_instruments(tmp_path, monkeypatch):
    def diverges(run):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(Run, "advance", diverges)
    job = Job("ppo-swingup-all", "CartPole-v1", PPOSettings(n_envs=2, horizon=8), 32, 0, 16, 1)
    record = run_job(job)
    assert "the loss is nan" in record["diverged"]
    study = """
title = "One arm"
evaluate_every = 16
solved = { CartPole-v1 = 200 }
arms = [{ name = "ppo-swingup-all", algorithm = "ppo", env = "CartPole-v1", steps = 32, seeds = [0, 1] }]
"""
    for name, arm in (("ablation", job.arm), ("ladder", ladder_evidence.QUIZ[0][0])):
        record["job"]["arm"] = arm
        write_run(dict(record), tmp_path / name / "runs" / arm / "0000.json")
        (tmp_path / name / "study.toml").write_text(study)
    (run,) = ablation(tmp_path)["ppo-swingup"]["all"][""]
    assert run["diverged"]
    assert run["kl"] == run["explained_variance"] == []
    (asked,) = ladder_evidence.quiz(tmp_path)
    assert asked["updates"] == {key: [] for key in ("step", *ladder_evidence.KEPT)}


def test_what_tuning_cost_is_counted_from_its_runs():
    lines = {(x["algorithm"], x["env_id"]): x for x in evidence("tuning")}
    a2c = lines["a2c", "CartPoleSwingUp-v0"]
    assert (a2c["settings"], a2c["runs"], a2c["steps"]) == (8, 16, 16 * 200_000)


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match="no evidence 'stairs'; there is: trpo-benchmarks"):
        evidence("stairs")


def test_the_copy_is_part_of_the_package():
    import tomllib

    settings = tomllib.loads((PACKAGED.parents[2] / "pyproject.toml").read_text())
    files = settings["tool"]["setuptools"]["package-data"]["course_lib.training"]
    assert PACKAGED.name in files
