"""The committed benchmarks: the table follows from the pieces, which hold what it claims."""

import json
import statistics

import pytest

from benchmarks import fisher, pieces, table
from benchmarks.plan import plan


def median(env_id, algorithm, library, seeds=range(5), name="cpu_seconds"):
    return statistics.median(run[name] for run in table.runs(library, algorithm, env_id, seeds))


def test_every_piece_is_there():
    assert [name for name, _ in plan() if not pieces.path_of(name).exists()] == []


def test_the_table_follows_from_the_pieces(tmp_path, monkeypatch):
    committed = (pieces.FOLDER.parent / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr(table, "FOLDER", tmp_path / "pieces")
    assert table.write_table().read_text(encoding="utf-8") == committed


def test_a_piece_is_measured_once_and_written_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "FOLDER", tmp_path)

    def fails():
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        pieces.measured("a/b", fails)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert pieces.measured("a/b", lambda: {"seconds": 1.5}) == {"seconds": 1.5}
    assert pieces.measured("a/b", fails) == {"seconds": 1.5}
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"seconds": 1.5}


def test_gae_scan_is_never_slower_and_far_faster_on_long_rollouts():
    rows = {tuple(row["shape"]): row for row in table.piece("gae")["rows"]}
    ratios = {shape: row["stable-baselines3"] / row["gae_scan"] for shape, row in rows.items()}
    assert ratios[4052, 8] >= 50
    assert min(ratios.values()) >= 1
    assert all(row["difference"] < 1e-5 for row in rows.values())


def test_fisher_products_and_updates():
    tuned = table.piece("fisher")["tuned"]
    assert len(tuned) == fisher.PROCESSES == 9
    assert fisher.median_ratio(tuned, "sb3_product", "product") >= 1.7
    assert fisher.median_ratio(tuned, "product", "forward_backward") <= 1.0
    assert fisher.median_ratio(tuned, "sb3_update", "update") >= 2.2


@pytest.mark.parametrize(
    ("env_id", "algorithm", "library", "ratio"),
    [
        ("CartPole-v1", "ppo", "numpy", 3.0),
        ("CartPole-v1", "trpo", "numpy", 3.0),
        ("LunarLanderContinuous-v3", "ppo", "gymnasium", 3.0),
        ("LunarLanderContinuous-v3", "trpo", "gymnasium", 2.0),
    ],
)
def test_tasks_are_solved_faster(env_id, algorithm, library, ratio):
    ours, theirs = (median(env_id, algorithm, side) for side in (library, "sb3"))
    assert theirs / ours >= ratio
    assert all(run["arrived"] for run in table.runs(library, algorithm, env_id, range(5)))


@pytest.mark.parametrize(
    ("algorithm", "side", "steps", "seconds", "arrivals"),
    [
        ("ppo", "numpy", 600_000, 25.0, 10),
        ("ppo", "quick", 500_000, 15.0, 9),
        ("ppo", "earlier", 500_000, 15.0, 8),
        ("trpo", "numpy", 1_000_000, 40.0, 8),
    ],
)
def test_swing_up_is_solved(algorithm, side, steps, seconds, arrivals):
    seeds = range(10)
    where = ("CartPoleSwingUp-v0", algorithm, side, seeds)
    assert median(*where, name="steps") <= steps
    assert median(*where) <= seconds
    arrived = [run["arrived"] for run in table.runs(side, algorithm, where[0], seeds)]
    assert len(arrived) == 10
    assert sum(arrived) >= arrivals


def test_a_row_from_another_processor_says_so():
    run = {"arrived": True, "cpu_seconds": 1.0, "steps": 1000}
    here = table.solving_row("Task", "ppo", "numpy", [run], [])
    there = table.solving_row("Task", "ppo", "numpy", [run | {"processor": "Other"}], [])
    assert "| ours |" in here
    assert "| ours (on Other) |" in there
