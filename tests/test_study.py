"""Studies: read strictly, run in processes or on a cluster, killed and resumed, never repeated."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from course_lib.algorithms.ppo import PPOSettings
from course_lib.command_line.main import main
from course_lib.training import evaluate, load_agent
from course_lib.training.study import connect, run_study
from course_lib.training.study_file import read_study
from course_lib.training.study_records import folder_of_agent, load_runs
from course_lib.training.study_run import run_job

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

STUDY = """
title = "Two arms"
evaluate_every = 256
episodes = 2
final_episodes = 3
[[arms]]
name = "short"
algorithm = "ppo"
env = "CartPole-v1"
steps = 1024
seeds = [0, 3]
settings = { n_envs = 4, horizon = 64, epochs = 1, minibatch_size = 64 }
[[arms]]
name = "other"
algorithm = "a2c"
env = "CartPole-v1"
steps = 512
seeds = [5, 6]
keep = [5]
settings = { n_envs = 4, horizon = 64 }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def numbers(folder):
    """What the runs found, without what they took."""
    return json.dumps([{**run, "made": None} for run in load_runs(folder)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran in one go on two processes."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "study.toml").write_text(STUDY)
    study = read_study(folder / "study.toml")
    assert run_study(study, folder / "runs", progress=False) == {}
    return folder / "runs"


def test_a_record_holds_what_was_asked_and_what_was_found(finished):
    runs = load_runs(finished)
    assert [(r["job"]["arm"], r["job"]["seed"]) for r in runs] == [
        ("other", 5), ("short", 0), ("short", 1), ("short", 2),
    ]  # fmt: skip
    run = runs[1]
    assert run["job"]["settings"]["horizon"] == 64
    assert run["job"]["settings"]["gamma"] == 0.98  # the preset's
    assert run["evaluations"]["step"] == [0, 256, 512, 768, 1024]
    assert run["updates"]["step"] == [256, 512, 768, 1024]
    assert [len(run["final"][kind]) for kind in ("deterministic", "sampled")] == [3, 3]
    assert run["diverged"] == ""
    assert set(run["made"]) >= {"cpu_seconds", "commit", "torch", "python"}
    assert (finished / "short" / "0001.json").stat().st_size < 5_000


@pytest.mark.parametrize("good", [0, 2, 5, 6])  # six and seven are the final ones
def test_a_run_that_diverges_is_recorded_once_it_has_been_looked_at(file, monkeypatch, good):
    looks = []

    def look(*arguments, **options):
        if len(looks) == good:
            raise FloatingPointError("not finite")
        looks.append(1.0)
        return np.ones(3)

    monkeypatch.setattr("course_lib.training.study_run.evaluate", look)
    job = read_study(file).jobs[0]
    if good:
        record = run_job(job)
        where = "training stopped by step 512: " if good == 2 else ""
        assert record["diverged"] == f"{where}not finite"
        assert record["final"] == {}
        assert record["evaluations"]["mean"] == [1.0] * min(good, 5)
    else:
        with pytest.raises(FloatingPointError, match="not finite"):
            run_job(job)


def test_an_agent_that_is_kept_can_be_loaded(finished):
    agent = load_agent(folder_of_agent(finished / "other" / "0005.json"))
    (run,) = load_runs(finished, ["other"])
    returns = evaluate(agent, "CartPole-v1", episodes=3, seed=5)
    assert list(returns) == run["final"]["deterministic"]
    assert not folder_of_agent(finished / "short" / "0001.json").exists()


def test_the_command_runs_a_smaller_version_apart(file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["study", str(file), "--seeds", "1", "--steps", "256", "--arm", "short"]
    assert main([*command, "--processes", "1"]) == 0
    folder = Path("runs", tmp_path.name, "1-seeds", "256-steps")
    assert [run["job"]["steps"] for run in load_runs(folder)] == [256]
    assert "short: 1 runs, IQM of final returns" in capsys.readouterr().out
    assert main([*command[:-1], "shorter"]) == 1
    assert "no arm shorter; there are: short, other" in capsys.readouterr().err


def test_the_page_of_one_arm_keeps_the_others(finished, file, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(finished, runs)
    assert main(["study", str(file), "--arm", "short", "--out", str(runs), "--quiet"]) == 0
    (page,) = tmp_path.rglob("README.md")
    assert "4 of 4 runs are there" in page.read_text("utf-8")
    assert "| other | 1 |" in page.read_text("utf-8")


def test_a_finished_study_runs_nothing(finished, file):
    def never(job):
        raise AssertionError("ran again")

    before = {f: f.stat().st_mtime_ns for f in finished.rglob("*.json")}
    assert run_study(read_study(file), finished, progress=False, run=never) == {}
    assert before == {f: f.stat().st_mtime_ns for f in finished.rglob("*.json")}


def test_a_run_with_other_settings_is_not_taken_for_this_one(finished, file):
    file.write_text(STUDY.replace("steps = 1024", "steps = 2048"))
    with pytest.raises(ValueError, match=r"0000\.json is a run with another steps: move it away"):
        run_study(read_study(file), finished, progress=False)


def test_a_setting_younger_than_a_run_was_at_its_default_in_it(finished, file, tmp_path):
    def never(job):
        raise AssertionError("ran again")

    shutil.copytree(finished, tmp_path / "runs")
    record = tmp_path / "runs" / "short" / "0000.json"
    run = json.loads(record.read_text())
    assert run["job"]["settings"].pop("max_grad_norm") == 0.5  # as if it had not existed yet
    record.write_text(json.dumps(run))
    assert run_study(read_study(file), tmp_path / "runs", progress=False, run=never) == {}
    file.write_text(STUDY.replace("epochs = 1,", "epochs = 1, max_grad_norm = 0.4,"))
    with pytest.raises(ValueError, match=r"0000\.json is a run with another settings"):
        run_study(read_study(file), tmp_path / "runs", progress=False, run=never)


def test_workers_keep_their_memory_and_have_one_thread_and_dasks_settings_come_back():
    changed = ("scheduler.allowed-failures", "nanny.pre-spawn-environ")
    before = [dask.config.get(f"distributed.{name}") for name in changed]
    with connect(1, None) as client:
        seen = client.submit(lambda: dict(os.environ)).result()
        assert client.cluster.scheduler.allowed_failures == 1
    assert "MALLOC_TRIM_THRESHOLD_" not in seen
    assert seen["OMP_NUM_THREADS"] == "1"
    assert [dask.config.get(f"distributed.{name}") for name in changed] == before
    assert before[0] != 1


@pytest.mark.parametrize("processes", [0, -1, 1.5])
def test_a_study_needs_a_process(processes, file, tmp_path):
    with pytest.raises(ValueError, match="processes must be"):
        run_study(read_study(file), tmp_path / "runs", processes=processes, progress=False)


def test_a_smaller_version_takes_the_first_seeds(file):
    jobs = read_study(file).smaller(seeds=2, steps=600).jobs
    assert [(job.arm, job.seed, job.steps) for job in jobs] == [
        ("short", 0, 600), ("short", 1, 600), ("other", 5, 512),
    ]  # fmt: skip


NINE = (
    "anneal_learning_rate", "max_grad_norm", "value_clip_range", "scale_rewards", "reward_clip",
    "observation_clip", "normalize_observations", "orthogonal", "activation",
)  # fmt: skip


def test_the_ablation_changes_one_optimisation_at_a_time():
    arms = {job.arm: job for job in read_study("results/ablation/study.toml").jobs}
    assert len(arms) == 3 * 20
    for task in ("ppo-swingup", "ppo-lander", "trpo-swingup"):
        ends = {end: arms[f"{task}-{end}"].settings for end in ("all", "none")}
        assert {n for n in NINE if getattr(ends["all"], n) != getattr(ends["none"], n)} == set(NINE)
        for name in NINE:
            for full, arm in (("all", f"all-minus-{name}"), ("none", f"none-plus-{name}")):
                other = "none" if full == "all" else "all"
                change = {name: getattr(ends[other], name)}
                assert arms[f"{task}-{arm}"].settings == replace(ends[full], **change)


@pytest.mark.parametrize("name", ["swingup-36", "ladder", "ablation"])
def test_the_studies_of_the_book_can_be_read(name):
    study = read_study(f"results/{name}/study.toml")
    assert {job.env_id for job in study.jobs} <= set(study.solved)
    assert all(job.evaluate_every * 10 <= job.steps for job in study.jobs)


def test_an_arm_may_be_evaluated_at_its_own_pace(file):
    file.write_text(STUDY + "evaluate_every = 128\n")
    pace = {job.arm: job.evaluate_every for job in read_study(file).jobs}
    assert pace.pop("other") == 128
    assert set(pace.values()) == {int(STUDY.split("evaluate_every = ")[1].split()[0])}


def test_variants_are_arms(file):
    file.write_text(STUDY + "variants = { a = {}, b = { gamma = 0.5, horizon = 32 } }\n")
    jobs = read_study(file).smaller(arms=["other-a", "other-b"]).jobs
    assert [(j.settings.gamma, j.settings.horizon) for j in jobs] == [(0.98, 64), (0.5, 32)]


def test_a_grid_is_an_arm_for_each_combination(file):
    point = (
        STUDY.split("[[arms]]")[0]
        + """
[[arms]]
name = "tried"
algorithm = "ppo"
env = "CartPole-v1"
steps = 512
seeds = [7, 9]
preset = false
settings = { n_envs = 4, max_grad_norm = "None" }
grid = { learning_rate = [0.1, 0.2], max_kl = ["None", 0.5] }
"""
    )
    file.write_text(point)
    jobs = read_study(file).jobs
    assert [job.arm for job in jobs[::2]] == [
        "tried-learning_rate=0.1-max_kl=None", "tried-learning_rate=0.1-max_kl=0.5",
        "tried-learning_rate=0.2-max_kl=None", "tried-learning_rate=0.2-max_kl=0.5",
    ]  # fmt: skip
    assert [job.seed for job in jobs] == [7, 8] * 4
    last = jobs[-1].settings
    assert last == PPOSettings(n_envs=4, max_grad_norm=None, learning_rate=0.2, max_kl=0.5)
    assert jobs[0].settings.max_kl is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", "study.toml: title missing"),
        ("episodes = 2", "episode = 2", "no key episode"),
        ("epochs = 1", "epoch = 1", r"arm short: .*epoch"),
        ("epochs = 1", "epochs = 0", r"arm short: epochs"),
        ('"a2c"', '"a2d"', "arm other: no preset for a2d"),
        ('"a2c"', '"a2d"\npreset = false', "arm other: no algorithm 'a2d'; there are: reinforce"),
        ("size = 64 }", "size = 64 }\ngrid = { n_envs = [1, 0] }", "arm short-n_envs=0: n_envs"),
        ("size = 64 }", "size = 64 }\ngrid = {}\nvariants = {}", "arm short: it has a grid or va"),
        ("size = 64 }", "size = 64 }\ngrid = { n_envs = 1 }", "arm short: grid needs lists"),
        ('name = "other"', 'name = "short"', "arm short: another arm has this name"),
        ("seeds = [5, 6]", "", "arm other: seeds missing"),
        ("title = ", "title ", "study.toml is not TOML"),
        ("episodes = 2", "episodes = 0", "study.toml: episodes must be at least 1, not 0"),
        ("every = 256", "every = -5", "study.toml: evaluate_every must be at least 1, not -5"),
        ("episodes = 3", "episodes = 2.5", "study.toml: final_episodes must be an integer"),
        (
            "episodes = 3",
            "episodes = 3\nsolved = { x = 'a' }",
            "study.toml: solved.x must be a number, not 'a'",
        ),
        ('"Two arms"', "2", "study.toml: title must be a string, not 2"),
        ("steps = 1024", "steps = -2000", "arm short: steps must be at least 1, not -2000"),
        ("[0, 3]", "5", r"arm short: seeds must be \[first, first that is left out\], not 5"),
        ("[0, 3]", "[0, 1, 3]", r"arm short: seeds must be \[first, .*, not \[0, 1, 3\]"),
        ("[0, 3]", "[3, 3]", r"arm short: seeds, .*, are none: \[3, 3\]"),
        ("[0, 3]", "[-3, 1]", "arm short: seeds must be at least 0, not -3"),
        ("keep = [5]", "keep = 5", "arm other: keep must be a list of seeds, not 5"),
        ("keep = [5]", "keep = ['5']", "arm other: keep must be an integer, not '5'"),
        ("keep = [5]", "preset = 1", "arm other: preset must be True or False, not 1"),
        ("keep = [5]", "evaluate_every = 0", "arm other: evaluate_every must be at least 1"),
        ("keep = [5]", "grid = []", r"arm other: grid must be a table, not \[\]"),
        ("keep = [5]", "grid = { gamma = [] }", "arm other: grid needs lists of values"),
        ("keep = [5]", "grid = { gamma = [1, 1] }", "arm other-gamma=1: another arm has this name"),
        ("keep = [5]", "variants = { a = 1 }", "arm other: variants.a must be a table, not 1"),
        ("keep = [5]", "variants = {}", "arm other: variants are none"),
        ("{ n_envs = 4, horizon = 64 }", "4", "arm other: settings must be a table, not 4"),
        ('"a2c"', "2", "arm other: algorithm must be a string, not 2"),
        ('"other"', "7", "arm 7: name must be a string, not 7"),
        ('"other"', '"../../esc"', r"name must be that of one folder, not '\.\./\.\./esc'"),
        ('"other"', '".."', r"name must be that of one folder, not '\.\.'"),
        ('"other"', '""', "name must be that of one folder, not ''"),
    ],
)
def test_a_faulty_file_is_refused_by_name(file, old, new, message):
    file.write_text(STUDY.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_study(file)


@pytest.mark.parametrize("arms", ["[arms]\nname = 'a'", "arms = []", "arms = [3]"])
def test_a_file_without_a_list_of_arms_is_refused(arms, file):
    file.write_text(STUDY.split("[[arms]]")[0] + arms)
    with pytest.raises(ValueError, match=r"it has no arms: .*\[\[arms\]\]|an arm must be a table"):
        read_study(file)


@pytest.mark.parametrize("wrong", [dict(seeds=0), dict(seeds=-1), dict(steps=-5)])
def test_no_version_is_smaller_than_one(wrong, file):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least 1"):
        read_study(file).smaller(**wrong)


def dies(job):
    """A run that takes its worker with it, whatever worker that is."""
    if (job.arm, job.seed) == ("short", 1):
        os._exit(1)
    return {"job": job.described()}


def test_a_run_that_kills_its_worker_is_reported_and_the_others_finish(tmp_path, file):
    failed = run_study(read_study(file), tmp_path / "runs", progress=False, run=dies)
    ((job, reason),) = failed.items()
    assert job.name == "short-0001"
    assert reason.startswith("KilledWorker")
    assert len(load_runs(tmp_path / "runs")) == 3


SCRIPT = """
import sys
from course_lib.training.study import connect, run_study
from course_lib.training.study_file import read_study
if __name__ == "__main__":
    run_study(read_study(sys.argv[1]), sys.argv[2], progress=False)
"""


def test_a_killed_study_resumes_and_ends_with_the_same_numbers(tmp_path, file, finished):
    script, runs = tmp_path / "script.py", tmp_path / "runs"
    script.write_text(SCRIPT)
    first = subprocess.Popen(
        [sys.executable, script, file, runs], start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: list(runs.rglob("*.json")))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {f: f.stat().st_mtime_ns for f in runs.rglob("*.json")}
    assert run_study(read_study(file), runs, progress=False) == {}
    assert kept == {f: f.stat().st_mtime_ns for f in kept}
    assert numbers(runs) == numbers(finished)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def cluster(folder):
    """A scheduler and two workers, as processes of their own."""
    log = (folder / "scheduler.log").open("w")
    base = [sys.executable, "-m", "distributed.cli"]
    scheduler = subprocess.Popen(
        [*base[:2], "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard"],
        stderr=log,
    )  # fmt: skip
    processes = [scheduler]
    try:
        pattern = re.compile(r"Scheduler at:\s+(tcp://\S+)")
        wait_for(lambda: pattern.search((folder / "scheduler.log").read_text()))
        address = pattern.search((folder / "scheduler.log").read_text()).group(1)
        for _ in range(2):
            command = [
                sys.executable, "-m", "distributed.cli.dask_worker", address,
                "--nthreads", "1", "--no-nanny", "--no-dashboard",
                "--local-directory", str(folder),
            ]  # fmt: skip
            processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        yield address, processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        log.close()


def waits_for_a_death(job):
    """The first run to start here waits until its worker is killed; later ones work."""
    Path(os.environ["STUDY_MARK"]).open("a").close()
    with Path(os.environ["STUDY_MARK"]).open("a") as mark:
        mark.write(f"{os.getpid()}\n")
    if job.seed == 0:
        while Path(os.environ["STUDY_MARK"]).read_text().split()[0] == str(os.getpid()):
            time.sleep(0.05)
    return {"job": job.described()}


def test_a_cluster_of_processes_loses_a_worker_and_no_run(tmp_path, file, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv("STUDY_MARK", str(mark))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    with cluster(tmp_path) as (address, workers):
        import threading

        def kill_the_first():
            wait_for(mark.is_file)
            wait_for(lambda: mark.read_text().split())
            os.kill(int(mark.read_text().split()[0]), signal.SIGKILL)

        killer = threading.Thread(target=kill_the_first)
        killer.start()
        failed = run_study(
            read_study(file), tmp_path / "runs", dask=address, progress=False, run=waits_for_a_death
        )
        killer.join()
        assert sum(worker.poll() is not None for worker in workers) == 1
    assert failed == {}
    assert len(load_runs(tmp_path / "runs")) == 4


def test_a_scheduler_that_is_not_there_is_an_error_of_its_own(tmp_path, file):
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        run_study(read_study(file), tmp_path, dask="tcp://127.0.0.1:9", progress=False)
