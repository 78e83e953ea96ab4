"""Kill training with -9 at random moments, resume, and compare with the uninterrupted run.

``python -m tests.kills --kills 100`` takes some minutes, so pytest does not collect it. Every kill
draws an algorithm, an environment and a moment. Afterwards the run must end exactly as the
uninterrupted one, or be refused in words before a step is taken; anything else is a failure.
"""

import argparse
import collections
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from course_lib.algorithms import ALGORITHMS
from course_lib.experience.envs.recorder import ReplayError
from course_lib.training import resume, train
from course_lib.training.checkpoint import INDEX, step_of_checkpoint
from course_lib.training.train import ResumeWarning

ENVIRONMENTS = (
    "CartPole-v1",
    "CartPoleSwingUp-v0",
    "LunarLanderContinuous-v3",
    "Pendulum-v1",
    "Acrobot-v1",
    "BipedalWalker-v3",
)
#: Environments whose runs must never be refused; BipedalWalker keeps its physics across episodes.
EXACT = ENVIRONMENTS[:-1]
UPDATES, N_ENVS, HORIZON = 6, 3, 60


def settings_for(algorithm: str):
    """Small, with everything switched on that has a state."""
    extra = {}
    if algorithm not in ("reinforce", "a2c"):
        epochs = "epochs" if algorithm.startswith("ppo") else "critic_epochs"
        extra = {"minibatch_size": 50, epochs: 2}
    return ALGORITHMS[algorithm][0](
        n_envs=N_ENVS,
        horizon=HORIZON,
        hidden=(8,),
        normalize_observations=True,
        scale_rewards=True,
        **extra,
    )


def fingerprint(history) -> str:
    """A digest of all that a run leaves but its times."""
    digest = hashlib.sha256()
    digest.update(history.updates.drop(columns="seconds").to_csv().encode())
    digest.update(history.episodes.to_csv().encode())
    for p in history.agent.parameters():
        digest.update(p.detach().numpy().tobytes())
    return digest.hexdigest()


def begin(algorithm: str, env_id: str, directory: Path | None) -> str:
    """The uninterrupted run."""
    settings = settings_for(algorithm)
    steps = UPDATES * N_ENVS * HORIZON
    every = dict(checkpoint_every=1, backend="auto" if directory else "gymnasium")
    if env_id.startswith("CartPole"):
        every["backend"] = "numpy"
    return fingerprint(
        train(env_id, settings, steps, 1, progress=False, checkpoint_dir=directory, **every)
    )


def go_on(directory: Path, fresh_episodes: bool = False) -> str:
    """The resumed run; what it raises is returned in words."""
    before = (directory / INDEX).read_bytes() if (directory / INDEX).exists() else b""
    try:
        history = resume(directory, progress=False, fresh_episodes=fresh_episodes)
    except (ReplayError, FileNotFoundError) as error:
        untouched = not before or (directory / INDEX).read_bytes() == before
        kind = type(error).__name__
        return f"refused {kind}: {error}" if untouched else f"{kind} after a step: {error}"
    return fingerprint(history)


def in_child(action: Callable[[], str], wait: Callable[[], None] | None = None) -> str:
    """Run in a forked process, so that nothing is left of it here; with `wait`, kill it after that.

    The answer is "" if it was killed before it had one.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            warnings.simplefilter("ignore", ResumeWarning)
            answer = action()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    if wait is not None:
        wait()
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else ""


def one_kill(algorithm: str, env_id: str, expected: str, update: int, after: float) -> str:
    """What became of a run that was killed some seconds after an update was saved.

    Update -1 is the start of the process. Counting from updates spreads the kills over the run
    however busy the machine is.
    """
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "run"

        def wait() -> None:
            step = update * N_ENVS * HORIZON
            patience = time.monotonic() + 60
            while update >= 0 and time.monotonic() < patience:
                saved = step_of_checkpoint(directory)
                if saved is not None and saved >= step:
                    break
                time.sleep(0.001)
            time.sleep(after)

        if in_child(lambda: begin(algorithm, env_id, directory), wait):
            return "had ended"
        answer = in_child(lambda: go_on(directory))
        if answer == expected:
            return "equal"
        if answer.startswith("refused FileNotFoundError") and not (directory / INDEX).exists():
            again = in_child(lambda: begin(algorithm, env_id, directory))
            return "nothing to resume" if again == expected else f"WRONG: begun again: {again}"
        if answer.startswith("refused ReplayError") and env_id not in EXACT:
            done = in_child(lambda: go_on(directory, fresh_episodes=True))
            return "refused" if len(done) == 64 else f"WRONG: fresh episodes: {done}"
        return f"WRONG: {answer}"


def main() -> int:
    """0 if every killed run came back or was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    whole: dict[tuple[str, str], tuple[str, float]] = {}
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    wrong = 0
    for i in range(options.kills):
        algorithm, env_id = rng.choice(list(ALGORITHMS)), ENVIRONMENTS[i % len(ENVIRONMENTS)]
        if (algorithm, env_id) not in whole:
            # Without a folder there is no rehearsal, and with one the run takes as long as the killed.
            expected = in_child(lambda a=algorithm, e=env_id: begin(a, e, None))
            with tempfile.TemporaryDirectory() as place:
                started = time.perf_counter()
                kept = in_child(lambda a=algorithm, e=env_id, p=place: begin(a, e, Path(p) / "r"))
                whole[algorithm, env_id] = expected, time.perf_counter() - started
            if kept != expected:
                wrong += 1
                print(f"WRONG: keeping {algorithm} on {env_id} changes it: {kept}", flush=True)
        expected, seconds = whole[algorithm, env_id]
        update, part = int(rng.integers(-1, UPDATES)), rng.uniform()
        became = one_kill(algorithm, env_id, expected, update, part * seconds / (UPDATES + 1))
        counts[env_id][became.partition(":")[0]] += 1
        if became.startswith("WRONG"):
            wrong += 1
            print(f"kill {i}, {algorithm} on {env_id}: {became}", flush=True)
        if (i + 1) % 10 == 0:
            print(f"{i + 1} kills, {wrong} wrong", file=sys.stderr, flush=True)
    for env_id, became in counts.items():
        print(f"{env_id:<26}", ", ".join(f"{n} {what}" for what, n in sorted(became.items())))
    algorithms = len({algorithm for algorithm, _ in whole})
    print(f"{options.kills} kills, {algorithms} algorithms, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
