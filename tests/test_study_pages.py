"""The pages of studies: what they say is what the runs' files say, computed another way."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from course_lib.command_line.main import main
from course_lib.show.study_pages import write_exact_page, write_page
from course_lib.show.tuning_page import main as write_tuning_page
from course_lib.show.tuning_page import tuning_page
from course_lib.training.statistics import Estimate
from course_lib.training.study_file import read_study
from course_lib.training.study_tables import arms_table, final_score, has_collapsed, words

ROOT = Path(__file__).parents[1]
STUDIES = [f.parent for f in sorted(ROOT.glob("results/*/study.toml"))]


def plain_iqm(scores):
    """Mean of what remains without the lowest and highest quarter, by sorting."""
    scores = np.sort(scores)
    cut = int(len(scores) / 4)
    return scores[cut : len(scores) - cut].mean()


def plain_interval(scores, levels=(0.025, 0.975), resamples=4000):
    rng = np.random.default_rng(1)
    drawn = rng.choice(scores, size=(resamples, len(scores)))
    return np.quantile([plain_iqm(row) for row in drawn], levels)


def plain_wilson(failed, n, z=1.959964):
    centre = (failed + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(failed * (n - failed) / n + z**2 / 4)
    return centre - half, centre + half


def record(arm, seed, final, on_the_way=(0.0,), diverged=""):
    steps = list(range(0, 256 * (len(on_the_way) + 1), 256))
    return {
        "job": {"arm": arm, "seed": seed, "env_id": "CartPole-v1", "steps": 1024},
        "evaluations": {"step": steps, "mean": [*on_the_way, final], "std": [0.0] * len(steps)},
        "final": {} if diverged else {"deterministic": [final - 1, final + 1], "sampled": [final]},
        "updates": {}, "diverged": diverged, "made": {"cpu_seconds": 1.0, "commit": "c"},
    }  # fmt: skip


STUDY = """
title = "Made up"
evaluate_every = 256
solved = { CartPole-v1 = 50 }
[[arms]]
name = "only"
algorithm = "ppo"
env = "CartPole-v1"
steps = 1024
seeds = [0, 9]
"""


def numbers_of(row):
    """The cells of a table's row, each as its list of numbers."""
    cells = [c.strip() for c in row.strip("| \n").split("|")]
    return [[float(x.replace(",", "")) for x in re.findall(r"-?[\d,]*\.?\d+", c)] for c in cells]


def row_of(page, arm):
    return next(line for line in page.splitlines() if line.startswith(f"| {arm} |"))


def test_the_page_says_what_the_records_say(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    scores = np.array([40.0, 60.0, 55.0, 100.0, 49.9, 50.0, 70.0, 20.0])
    (tmp_path / "runs" / "only").mkdir(parents=True)
    for seed, score in enumerate(scores):
        run = record("only", seed, score, on_the_way=(0.0, 51.0 if seed == 7 else 30.0))
        (tmp_path / "runs" / "only" / f"{seed:04d}.json").write_text(json.dumps(run))
    study = read_study(tmp_path / "study.toml")
    page = write_page(study, tmp_path / "runs", tmp_path, "this").read_text()
    assert "8 of 9 runs are there" in page
    _, seeds, steps, iqm, sampled, failed, rate, collapsed, diverged = numbers_of(
        row_of(page, "only")
    )
    assert (seeds, steps, failed, collapsed, diverged) == ([8], [1024], [3], [1], [0])
    assert iqm[0] == pytest.approx(plain_iqm(scores), abs=0.06) == sampled[0]
    np.testing.assert_allclose(iqm[1:], plain_interval(scores), atol=1.5)
    np.testing.assert_allclose(rate, [3 / 8, *plain_wilson(3, 8)], atol=0.006)
    assert (tmp_path / "CartPole-v1.png").stat().st_size > 5_000


def test_a_run_that_diverged_fails_with_its_last_evaluation():
    run = record("only", 0, 12.0, on_the_way=(80.0,), diverged="loss is nan")
    assert final_score(run) == final_score(run, "sampled") == 12.0
    assert has_collapsed(run, threshold=50.0)
    assert not has_collapsed(record("only", 0, 60.0, on_the_way=(80.0,)), threshold=50.0)
    assert not has_collapsed(record("only", 0, 40.0, on_the_way=(45.0,)), threshold=50.0)


def test_without_a_bar_no_run_is_said_to_have_failed(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    study, runs = read_study(tmp_path / "study.toml"), [record("only", 0, 40.0)]
    about_failures = {"failures", "failed", "collapsed"}
    assert about_failures < set(arms_table(study, runs, "CartPole-v1"))
    without = replace(study, solved={})
    assert not about_failures & set(arms_table(without, runs, "CartPole-v1"))
    (tmp_path / "runs" / "only").mkdir(parents=True)
    (tmp_path / "runs" / "only" / "0000.json").write_text(json.dumps(runs[0]))
    page = write_page(without, tmp_path / "runs", tmp_path, "this").read_text()
    assert "Wilson" not in page
    assert "failure" not in page


def test_what_rounds_to_zero_has_no_sign():
    assert words(Estimate(-0.01, -0.3, 0.2), 0) == "0 (0 to 0)"
    assert words(Estimate(-1.25, -2.0, 0.04)) == "-1.2 (-2.0 to 0.0)"


def test_one_seed_has_no_interval(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "runs" / "only").mkdir(parents=True)
    (tmp_path / "runs" / "only" / "0000.json").write_text(json.dumps(record("only", 0, 40.0)))
    page = write_page(read_study(tmp_path / "study.toml"), tmp_path / "runs", tmp_path, "this")
    cells = [c.strip() for c in row_of(page.read_text(), "only").split("|")]
    assert cells[4:6] == ["40.0", "40.0"]
    assert "only: 1 seed, 1,024 steps, IQM 40.0, failure rate" in page.read_text()


def test_page_and_numbers_of_a_small_study_do_not_depend_on_the_time_it_took(tmp_path, capsys):
    small = "settings = { n_envs = 4, horizon = 64, epochs = 1 }\n"
    text = (
        STUDY.replace("[0, 9]", "[0, 2]").replace("256\n", "512\nfinal_episodes = 2\n", 1) + small
    )
    pages = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "study.toml").write_text(text)
        assert main(["study", str(folder / "study.toml"), "--processes", "1", "--quiet"]) == 0
        pages.append((folder / "README.md").read_text().replace(name, "x"))
        assert "CPU hours" in (folder / "cost.md").read_text()
    assert pages[0] == pages[1]
    assert "2 of 2 runs are there" in pages[0]
    assert "failure rate" in pages[0]
    study = replace(read_study(tmp_path / "one" / "study.toml"), solved={})
    page = write_page(study, tmp_path / "one" / "runs", tmp_path, "this").read_text()
    assert "2 of 2 runs are there" in page
    assert "failure rate" not in page  # there is no bar to fail


def test_where_every_run_failed_the_reasons_are_told(tmp_path, capsys, monkeypatch):
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.setattr(
        "course_lib.command_line.studies.run_study",
        lambda study, *others, **more: dict.fromkeys(study.jobs, "OSError: no such simulator"),
    )
    out = tmp_path / "some" / "where"
    assert main(["study", str(tmp_path / "study.toml"), "--out", str(out)]) == 1
    assert "9 of 9 runs did not end: only-0000: OSError: no such simulator" in (
        capsys.readouterr().err
    )
    assert "0 of 9 runs are there" in (out / "README.md").read_text()


def test_pages_are_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    # Where no encoding is named, pathlib asks this function, which then says "locale".
    monkeypatch.setattr("io.text_encoding", lambda encoding, level=2: encoding or "ascii")
    folder = tmp_path / "tuning" / "one"
    (folder / "runs" / "größer").mkdir(parents=True)
    text = STUDY.replace("Made up", "Größen").replace('"only"', '"größer"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    run = record("größer", 0, 60.0)
    run["job"] |= {"algorithm": "ppo", "settings": {"hidden": [8]}}
    (folder / "runs" / "größer" / "0000.json").write_text(json.dumps(run))
    page = write_page(read_study(folder / "study.toml"), folder / "runs", folder, "this")
    assert "# Größen" in page.read_text("utf-8")
    assert "größer" in (folder / "cost.md").read_text("utf-8")
    monkeypatch.setattr("sys.argv", ["tuning_page", str(tmp_path / "tuning")])
    write_tuning_page()
    assert "## Größen" in (tmp_path / "tuning.md").read_text("utf-8")

    (folder / "study.toml").write_text('title = "Größen"\ndriver = "vine"\n', encoding="utf-8")
    records = folder / "vine.json"
    records.write_text(json.dumps({"study": {"driver": "vine"}, "rows": [{"estimate": "λ"}]}))
    assert "| λ |" in write_exact_page(folder / "study.toml", records, folder).read_text("utf-8")


def committed():
    """Pages of the book's studies that are there, with an arm that has at least two runs each."""
    for folder in STUDIES:
        page = folder / "README.md"
        if not page.is_file() or "driver" in (folder / "study.toml").read_text():
            continue
        arms = sorted(p for p in (folder / "runs").iterdir() if len(list(p.glob("*.json"))) > 1)
        yield from ((folder, arm) for arm in arms)


@pytest.mark.parametrize(
    ("folder", "arm"), [pytest.param(*x, id="/".join(p.name for p in x)) for x in committed()]
)
def test_published_rows_agree_with_the_raw_files(folder, arm):
    runs = [json.loads(f.read_text()) for f in sorted(arm.glob("*.json"))]
    if any(run["diverged"] for run in runs):
        return  # tested above, on a record made for it
    scores = np.array([np.mean(run["final"]["deterministic"]) for run in runs])
    bar = read_study(folder / "study.toml").solved[runs[0]["job"]["env_id"]]
    _, seeds, _, iqm, _, failed, rate, *_ = numbers_of(
        row_of((folder / "README.md").read_text(), arm.name).replace(arm.name, "arm", 1)
    )
    below = int((scores < bar).sum())
    assert seeds == [len(runs)]
    assert failed == [below]
    assert iqm[0] == pytest.approx(plain_iqm(scores), abs=0.051)
    # The resamples of few runs have few values, so a limit may be the next one: it lies between the
    # quantiles beside its own, up to rounding and a hundredth of the runs' range.
    beside = plain_interval(scores, (0.017, 0.033, 0.967, 0.983)).reshape(2, 2)
    spread = np.ptp(scores) / 100 + 0.06
    for limit, (least, most) in zip(iqm[1:], beside, strict=True):
        assert least - spread <= limit <= most + spread
    np.testing.assert_allclose(
        rate, [below / len(runs), *plain_wilson(below, len(runs))], atol=6e-3
    )


def test_the_ledger_and_the_vine_say_what_their_rows_say():
    ledger = ROOT / "results" / "gap-ledger"
    rows = json.loads((ledger / "runs" / "gap_ledger.json").read_text())["rows"]
    page = (ledger / "README.md").read_text()
    end = {r["entry"]: r["returns"][-1] for r in rows if r["entry"] != "sampled states"}
    sampled = np.array([r["returns"][-1] for r in rows if r["entry"] == "sampled states"])
    undiscounted = numbers_of(row_of(page, "undiscounted states"))
    assert undiscounted[-1] == pytest.approx(
        [end["reference"] - end["undiscounted states"]], abs=6e-4
    )
    cost = numbers_of(row_of(page, "sampled states"))[-1]
    assert cost[0] == pytest.approx(end["reference"] - sampled.mean(), abs=6e-4)
    half = 1.96 * sampled.std(ddof=1) / np.sqrt(len(sampled))
    assert cost[2] - cost[1] == pytest.approx(2 * half, rel=0.25)
    vine = ROOT / "results" / "vine"
    rows = json.loads((vine / "runs" / "vine.json").read_text())["rows"]
    page = (vine / "README.md").read_text()
    assert sum(line.startswith("| ") for line in page.splitlines()) == len(rows) + 2
    for row in rows:
        error = np.sqrt(row["variance"] + row["bias"] ** 2)
        ratio = error / row["relative_error"]
        assert ratio == pytest.approx(0.2996, rel=0.02)  # the gradient's norm


def test_the_tuning_page_marks_what_the_presets_have(tmp_path):
    folder = tmp_path / "tuning" / "some"
    (folder / "runs").mkdir(parents=True)
    (folder / "study.toml").write_text(
        STUDY.replace("seeds = [0, 9]", "seeds = [100, 101]\ngrid = { gamma = [0.5, 0.98] }")
    )
    for job, score in zip(read_study(folder / "study.toml").jobs, (1.0, 2.0), strict=True):
        (folder / "runs" / job.arm).mkdir()
        run = record(job.arm, job.seed, score) | {"job": job.described()}
        (folder / "runs" / job.file).write_text(json.dumps(run))
    page = tuning_page(tmp_path / "tuning")
    assert "2 of 2 settings have runs, 2 of 2." in page
    assert "| only-gamma=0.5 | 1,024 | 100 | 1.0 | 1.0 |" in page
    assert "| only-gamma=0.98 * | 1,024 | 100 | 2.0 | 2.0 |" in page


def test_the_committed_tuning_page_is_that_of_its_runs():
    assert (ROOT / "results" / "tuning.md").read_text() == tuning_page(ROOT / "results" / "tuning")


def test_nothing_is_tuned_on_seeds_that_are_reported():
    for file in ROOT.glob("results/tuning/*/study.toml"):
        assert min(job.seed for job in read_study(file).jobs) >= 100
    for name in ("swingup-36", "ladder", "ablation"):
        jobs = read_study(ROOT / "results" / name / "study.toml").jobs
        assert max(job.seed for job in jobs) < 100
