"""The committed measurements that chapters read, in the repository and in the package."""

import json

import numpy as np
import pytest

from course_lib.training import evidence as module
from course_lib.training.evidence import PACKAGED, SOURCES, evidence


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
