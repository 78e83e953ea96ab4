"""What a run keeps, and when: on every way out, in one folder, by one writer, beside readers."""

import dataclasses
import math
import os
import pickle
import signal
import threading

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.algorithms.ppo import PPOSettings
from course_lib.training import (
    evaluate,
    keeper,
    load_agent,
    load_history,
    resume,
    save_agent,
    train,
)
from course_lib.training.agents import agent_state
from course_lib.training.checkpoint import INDEX, load_checkpoint, save_checkpoint
from course_lib.training.environment import describe, restored
from course_lib.training.evaluation import UnfinishedEpisodesError
from course_lib.training.interrupts import StoppedBySignalError
from course_lib.training.keeper import FolderUsedError
from course_lib.training.lock import FolderInUseError, FolderLock, locked

SMALL = PPOSettings(
    n_envs=2, horizon=16, epochs=1, minibatch_size=16, hidden=(8,), anneal_learning_rate=False
)
UPDATE = 32  # steps of one


def cartpole(directory, updates, **more):
    return train(
        "CartPole-v1", SMALL, UPDATE * updates, progress=False, **more, checkpoint_dir=directory
    )


def updates_in(directory):
    return load_checkpoint(directory)["run"]["updates_done"]


def same_agent(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# --- numbers of other types -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [np.arange(3)[1], np.uint8(1), np.array(1), torch.tensor(1)])
def test_any_integer_is_a_seed_and_a_number_of_steps(seed, tmp_path):
    history = cartpole(tmp_path, np.int64(2), seed=seed, checkpoint_every=np.int32(1))
    assert type(history.seed) is int
    assert same_agent(load_agent(tmp_path), cartpole(None, 2, seed=1).agent)


def test_settings_from_a_search_can_be_saved(tmp_path):
    change = dict(gamma=np.float32(0.98), n_envs=np.int64(2), normalize_advantages=np.bool_(True))
    settings = dataclasses.replace(SMALL, **change)
    train("CartPole-v1", settings, 1e2, progress=False, checkpoint_dir=tmp_path)
    assert resume(tmp_path).settings == settings


@pytest.mark.parametrize("wrong", [dict(seed=-1), dict(seed=1.5), dict(checkpoint_every=True)])
def test_numbers_that_are_none_are_refused_by_name(wrong, tmp_path):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cartpole(tmp_path / "run", 2, **wrong)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_is_found_before_the_first_step(tmp_path, monkeypatch):
    made = keeper.Run.get_state
    monkeypatch.setattr(
        keeper.Run, "get_state", lambda run, noted: {**made(run, noted), "agent": {"beta": {1, 2}}}
    )
    monkeypatch.setattr(keeper.Run, "advance", lambda run: pytest.fail("a step was taken"))
    with pytest.raises(TypeError, match="agent/beta is a set"):
        cartpole(tmp_path, 2)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (np.zeros(2), r"\['g'\] is array"),
        ((1, 2), r"\['g'\] is \(1, 2\), of type tuple"),
        ([1, {"a": (2,)}], r"\['g'\]\[1\]\['a'\] is \(2,\)"),
        ({1: 2.0}, r"\['g'\] is \{1: 2.0\}"),
        (np.float32(0.1), r"\['g'\] .*float32"),  # sums with it are rounded otherwise
    ],
)
def test_an_argument_that_json_changes_is_named(value, where, tmp_path):
    kept = dict(progress=False, env_kwargs={"g": value}, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=f"env_kwargs cannot be saved .*: env_kwargs{where}"):
        train("Pendulum-v1", SMALL, UPDATE, **kept)
    assert not list(tmp_path.iterdir())


def test_arguments_and_specs_come_back_as_they_were():
    arguments = {"a": [1, 2.0, None, {"b": True}], "c": math.nan, "n": np.int64(3)}
    assert repr(restored(describe("Pendulum-v1", arguments))[1]) == repr({**arguments, "n": 3})
    spec = gym.make("Pendulum-v1", g=5.0).spec
    assert restored(describe(spec, None)) == (spec, {})
    spec.kwargs["g"] = (5.0,)
    with pytest.raises(ValueError, match="a spec that JSON changes"):
        restored(describe(spec, None))
    assert restored(describe(spec, None), spec)[0] is spec


# --- every way out --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [True, 1, np.bool_(True), "enough", [0]])
def test_every_true_answer_of_the_callback_stops_and_is_saved(answer, tmp_path):
    history = cartpole(tmp_path, 30, callback=lambda step, agent: step >= 7 * UPDATE and answer)
    assert len(history.updates) == updates_in(tmp_path) == 7
    assert same_agent(load_agent(tmp_path), history.agent)
    assert len(pd.read_csv(tmp_path / "updates.csv")) == 7


@pytest.mark.parametrize("answer", [False, 0, None, np.bool_(False), ""])
def test_no_false_answer_does(answer, tmp_path):
    assert len(cartpole(tmp_path, 3, callback=lambda step, agent: answer).updates) == 3


def test_an_answer_that_is_neither_is_named(tmp_path):
    with pytest.raises(ValueError, match="true or false"):
        cartpole(tmp_path, 3, callback=lambda step, agent: np.zeros(2))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit, OSError])
def test_an_error_in_the_callback_loses_nothing(error, tmp_path):
    def fail(step, agent):
        if step == 3 * UPDATE:
            raise error("stop")

    with pytest.raises(error) as caught:
        cartpole(tmp_path, 30, callback=fail)
    assert updates_in(tmp_path) == 3
    assert f"the checkpoint in {tmp_path} is of step 96" in str(caught.value.__notes__)
    whole = cartpole(None, 5)
    assert same_agent(resume(tmp_path, progress=False, total_steps=5 * UPDATE).agent, whole.agent)


@pytest.mark.parametrize("call", [0, 3, 5])
def test_an_error_in_the_callback_names_the_steps_that_were_taken(call, tmp_path):
    def fail(step, agent):
        if step == call * UPDATE:
            raise ValueError("no")

    message = (
        rf"stopped by step {call * UPDATE}: no \(the checkpoint in .* of step {call * UPDATE}\)"
    )
    with pytest.raises(ValueError, match=message):
        cartpole(tmp_path, 5, callback=fail)


@pytest.mark.parametrize(
    "error",
    [
        StoppedBySignalError("stopped after 7 steps", 15),
        UnfinishedEpisodesError("not ended", np.array([1.0, 2.0]), np.array([True, False])),
    ],
)
def test_errors_come_back_from_another_process(error):
    error.add_note("what is kept")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert repr(vars(again)) == repr(vars(error))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_update(number, tmp_path, monkeypatch, capsys):
    class Slow(gym.Wrapper):
        steps = 0

        def step(self, action):
            Slow.steps += 1
            if Slow.steps == 3 * UPDATE + 5:  # in the middle of a rollout
                signal.raise_signal(number)
            return super().step(action)

    monkeypatch.setattr(
        "course_lib.experience.envs.ReplayableVectorEnv.rehearse", lambda envs: None
    )
    before = signal.getsignal(number)
    with pytest.raises(StoppedBySignalError, match="after 128 steps") as caught:
        train(
            lambda: Slow(gym.make("CartPole-v1")),
            SMALL,
            UPDATE * 30,
            progress=False,
            checkpoint_dir=tmp_path,
        )
    assert caught.value.signal == number
    assert updates_in(tmp_path) == 4
    assert signal.getsignal(number) == before
    assert "once more stops at once" in capsys.readouterr().err


def test_a_second_signal_does_not_wait(tmp_path, monkeypatch):
    advance = keeper.Run.advance

    def interrupted(run):
        if run.updates_done == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        advance(run)

    monkeypatch.setattr(keeper.Run, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match="at once"):
        cartpole(tmp_path, 30)
    assert updates_in(tmp_path) == 2


def test_an_error_in_a_rollout_saves_the_last_whole_update(tmp_path, monkeypatch):
    whole = cartpole(None, 6)
    advance = keeper.Run.advance

    def half_way(run):
        if run.updates_done == 3:
            run.collector.collect(run.agent.policy.sampler(run.acting_rng), 5)
            raise OSError("the simulator is gone")
        advance(run)

    monkeypatch.setattr(keeper.Run, "advance", half_way)
    with pytest.raises(OSError, match="simulator"):
        cartpole(tmp_path, 6)
    monkeypatch.undo()
    assert updates_in(tmp_path) == 3
    assert same_agent(resume(tmp_path, progress=False).agent, whole.agent)


def test_a_checkpoint_that_fails_names_what_is_there(tmp_path, monkeypatch):
    def full(directory, tree, step):
        if step > 2 * UPDATE:
            raise OSError("no space left on device")
        return save_checkpoint(directory, tree, step)

    monkeypatch.setattr(keeper, "save_checkpoint", full)
    with pytest.raises(OSError, match="no space") as caught:
        cartpole(tmp_path, 9, checkpoint_every=1)
    assert f"the checkpoint in {tmp_path} is of step 64" in str(caught.value.__notes__)
    assert updates_in(tmp_path) == 2


# --- the folder -----------------------------------------------------------------------------------


def test_only_what_the_index_names_is_removed(tmp_path):
    cartpole(tmp_path, 2)
    (copy,) = tmp_path.glob("step-*.safetensors")
    mine = tmp_path / "step-0000000001-of-mine.safetensors"
    mine.write_bytes(b"mine")
    resume(tmp_path, progress=False, total_steps=4 * UPDATE)
    assert mine.read_bytes() == b"mine"
    assert not copy.exists()


def test_what_a_killed_writer_left_is_removed(tmp_path):
    stop = lambda step, agent: step == 2 * UPDATE  # noqa: E731
    cartpole(tmp_path, 4, callback=stop, evaluate_every=1)
    left = [
        place / name
        for place in (tmp_path, tmp_path / "best")
        for name in (
            "step-0000000096-0123abcd.safetensors",
            ".step-0000000096-0123abcd.safetensors.77.part",
        )
    ]
    for file in left:
        file.write_bytes(b"of a writer that was killed before its index was there")
    resume(tmp_path, progress=False)
    kept = keeper.Keeper(FolderLock(tmp_path, -1))
    kept.lock.require_held = lambda: None
    kept.run = keeper.Run("CartPole-v1", SMALL, 1, 0, "numpy")
    kept.offer_best(kept.run.agent, 501.0)  # better than any
    assert not [file for file in left if file.exists()]
    assert len(list(tmp_path.rglob("*step-*"))) == 2


def test_one_folder_has_one_writer_and_any_readers(tmp_path):
    seen = []

    def meanwhile(step, agent):
        if step != 2 * UPDATE:
            return
        for writer in (lambda: cartpole(tmp_path, 2), lambda: resume(tmp_path, progress=False)):
            with pytest.raises((FolderInUseError, FolderUsedError)) as caught:
                writer()
            seen.append(str(caught.value))
        seen.append(len(load_history(tmp_path).updates))

    cartpole(tmp_path, 3, callback=meanwhile, checkpoint_every=1)
    assert "holds the checkpoint of a run already" in seen[0]
    assert f"is in use: process {os.getpid()} is writing there" in seen[1]
    assert seen[2] == 2
    assert not (tmp_path / ".lock").exists()


def test_a_reader_beside_a_writer_always_gets_a_whole_checkpoint(tmp_path):
    stop, failures, read = threading.Event(), [], 0
    save_checkpoint(tmp_path, {"a": np.zeros(3), "n": 0}, 0)

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            save_checkpoint(tmp_path, {"a": np.full(3, n), "n": n}, n)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            tree = load_checkpoint(tmp_path)
            read += 1
            if not (tree["a"] == tree["n"]).all():
                failures.append(tree)
    finally:
        stop.set()
        writer.join()
    assert read == 300
    assert not failures


def test_arrays_that_are_gone_are_named(tmp_path):
    cartpole(tmp_path, 1)
    (arrays,) = tmp_path.glob("step-*")
    arrays.unlink()
    with pytest.raises(ValueError, match=f"{arrays.name} is missing"):
        load_agent(tmp_path)


def test_a_folder_that_was_given_to_another_run_is_left_alone(tmp_path):
    place, other = tmp_path / "run", {}

    def replace(step, agent):
        if step == UPDATE:
            for file in place.iterdir():
                file.unlink()
            place.rmdir()
            other["history"] = cartpole(place, 2, seed=9)

    with pytest.raises(FolderInUseError, match="removed or replaced"):
        cartpole(place, 5, callback=replace, checkpoint_every=1)
    assert same_agent(load_agent(place), other["history"].agent)


def test_tables_of_another_run_are_not_overwritten(tmp_path):
    (tmp_path / "updates.csv").write_text("mine")
    with pytest.raises(FolderUsedError, match=r"updates\.csv of another run"):
        cartpole(tmp_path, 1)
    assert (tmp_path / "updates.csv").read_text() == "mine"


def test_a_lock_lasts_as_long_as_its_holder(tmp_path):
    with locked(tmp_path) as lock:
        lock.require_held()
        with pytest.raises(FolderInUseError, match="in use"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_tables_are_there_while_training_goes_on(tmp_path):
    rows = []

    def look(step, agent):
        if step == 4 * UPDATE:
            rows.append(len(pd.read_csv(tmp_path / "updates.csv")))
            assert (tmp_path / "episodes.csv").is_file()

    cartpole(tmp_path, 5, callback=look, checkpoint_every=1)
    assert 1 <= rows[0] <= 4
    assert len(pd.read_csv(tmp_path / "updates.csv")) == 5
    assert not list(tmp_path.glob(".*"))


# --- agents, totals, other environments -----------------------------------------------------------


def test_an_agent_is_kept_whole_and_a_run_is_not_overwritten_by_it(tmp_path):
    history = cartpole(tmp_path / "run", 2)
    save_agent(history.agent, tmp_path / "agent", note="first")
    again = load_agent(tmp_path / "agent")
    kept, back = (dict(_leaves(agent_state(agent), "")) for agent in (history.agent, again))
    assert kept.keys() == back.keys()
    for name, value in kept.items():
        np.testing.assert_array_equal(value, back[name], err_msg=name)
    with pytest.raises(ValueError, match="holds a training run"):
        save_agent(again, tmp_path / "run")
    with pytest.raises(ValueError, match="not a training run"):
        resume(tmp_path / "agent")
    by_hand = dataclasses.replace(again, settings=None)
    with pytest.raises(ValueError, match="no settings or spaces"):
        save_agent(by_hand, tmp_path / "other")


def _leaves(tree, path):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", np.asarray(value)


def test_the_best_evaluated_agent_is_kept_and_evaluation_changes_nothing(tmp_path):
    settings = dataclasses.replace(SMALL, learning_rate=0.05)
    steps = 20 * UPDATE
    plain = train("CartPole-v1", settings, steps, progress=False)
    history = train(
        "CartPole-v1", settings, steps, progress=False, checkpoint_dir=tmp_path, evaluate_every=2
    )
    assert same_agent(plain.agent, history.agent)
    scores = history.updates["evaluation"].dropna()
    assert len(scores) == 10
    notes = load_checkpoint(tmp_path / "best")["notes"]
    assert notes["evaluation"] == scores.max()
    assert notes["step"] == history.updates["step"][scores.idxmax()]
    returns = evaluate(load_agent(tmp_path / "best"), "CartPole-v1", 10, _evaluation_seed())
    assert returns.mean() == scores.max()


def _evaluation_seed():
    return keeper.Run("CartPole-v1", SMALL, 1, 0, "numpy").evaluation_seed


def test_an_evaluation_without_an_end_does_not_end_the_training(monkeypatch):
    monkeypatch.setattr("course_lib.training.evaluation._patience", lambda envs: 5)
    with pytest.warns(UserWarning, match="not evaluated after 64 steps"):
        history = cartpole(None, 3, evaluate_every=2)
    assert len(history.updates) == 3


def test_a_finished_run_goes_on_to_a_new_total(tmp_path):
    whole = cartpole(None, 6)
    cartpole(tmp_path, 3)
    with pytest.raises(ValueError, match="has taken 96 steps already"):
        resume(tmp_path, total_steps=96)
    again = resume(tmp_path, progress=False, total_steps=6 * UPDATE)
    assert same_agent(again.agent, whole.agent)
    assert len(pd.read_csv(tmp_path / "updates.csv")) == 6


def test_functions_and_specs_make_environments_and_a_function_is_given_again(tmp_path):
    def heavy():
        return gym.make("Pendulum-v1", g=5.0)

    whole = train(heavy, SMALL, 4 * UPDATE, progress=False)
    by_name = dict(progress=False, env_kwargs={"g": 5.0}, checkpoint_dir=tmp_path / "id")
    assert same_agent(train("Pendulum-v1", SMALL, 4 * UPDATE, **by_name).agent, whole.agent)
    train(gym.spec("Pendulum-v1"), SMALL, 2 * UPDATE, progress=False, checkpoint_dir=tmp_path / "s")
    resume(tmp_path / "s", progress=False, total_steps=3 * UPDATE)

    stop = lambda step, agent: step == 2 * UPDATE  # noqa: E731
    train(heavy, SMALL, 4 * UPDATE, progress=False, callback=stop, checkpoint_dir=tmp_path / "f")
    with pytest.raises(ValueError, match="heavy, was made by a function"):
        resume(tmp_path / "f", progress=False)
    assert same_agent(resume(tmp_path / "f", progress=False, env=heavy).agent, whole.agent)
    assert load_history(tmp_path / "f").env_id == "heavy"


def test_arguments_change_an_environment_of_the_course_and_are_kept(tmp_path):
    arguments = {"sutton_barto_reward": True}
    whole = cartpole(None, 4, env_kwargs=arguments)
    assert set(whole.episodes["return"]) == {-1.0}
    cartpole(tmp_path, 4, env_kwargs=arguments, callback=lambda step, agent: step == 2 * UPDATE)
    assert same_agent(resume(tmp_path, progress=False).agent, whole.agent)


def test_an_older_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("course_lib.training.agents.torch.__version__", "1.0")
    cartpole(tmp_path, 2, callback=lambda step, agent: step == UPDATE)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match=r"made with torch 1\.0"):
        resume(tmp_path, progress=False)
    assert (tmp_path / INDEX).is_file()
