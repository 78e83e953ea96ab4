"""Our gradient step beside the one before `course_lib.perceptron` (`benchmarks.plain`).

``python -m benchmarks.step minibatch`` times one minibatch step of PPO on CartPole's networks, and
``python -m benchmarks.step run ENVIRONMENT`` whole training updates, environment steps included.
Both take the two sides in turn within one process, on one thread, and print JSON.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from unittest import mock

PROCESSES = 5
MINIBATCH = 512
UPDATES = 20  # of every side, beside one that warms up
SEEDS = (0, 1, 2)


def measure() -> dict:
    """Return every process's seconds per minibatch step."""
    return {"processes": [in_fresh_process("minibatch") for _ in range(PROCESSES)]}


def measure_run(env_id: str) -> dict:
    """Return, for every seed, each side's CPU seconds per environment step."""
    return {"seeds": [in_fresh_process("run", env_id, str(seed)) for seed in SEEDS]}


def ratios(pairs: list[dict[str, float]]) -> list[float]:
    """Return plain over ours, for every pair of times."""
    return [taken["plain"] / taken["ours"] for taken in pairs]


def in_fresh_process(*arguments: str) -> dict[str, float]:
    """Return what one process measures."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.step", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def minibatch() -> dict[str, float]:
    """Time one step of both sides, from the drawn indices to the moved weights."""
    import torch

    from .timing import medians, side_by_side

    torch.set_num_threads(1)
    calls = {"ours": step_of(plain=False), "plain": step_of(plain=True)}
    ours, plain = (call() for call in calls.values())
    if not torch.allclose(ours, plain, rtol=1e-4, atol=1e-6):
        raise AssertionError("the two sides' first steps differ")
    return medians(side_by_side(calls, rounds=25, seconds=0.1))


def step_of(plain: bool):
    """Return a call that makes one step of `ppo.update`'s inner loop and returns the weights."""
    import gymnasium as gym
    import numpy as np
    import torch

    from course_lib.algorithms.agent import make_agent, require_finite
    from course_lib.algorithms.ppo import ppo_clip_loss
    from course_lib.algorithms.presets import preset
    from course_lib.algorithms.updates import gradient_step, value_loss

    from .plain import make_plain, plain_gradient_step

    settings = preset("ppo", "CartPole-v1")
    agent = make_agent(gym.spaces.Box(-1, 1, (4,)), gym.spaces.Discrete(2), settings, seed=0)
    make_step = plain_gradient_step if plain else gradient_step
    if plain:
        make_plain(agent)
    generator = torch.Generator().manual_seed(0)
    size = settings.n_envs * settings.horizon
    all_observations = torch.randn(size, 4, generator=generator)
    actions = torch.randint(0, 2, (size,), generator=generator)
    advantages, targets, old_values = torch.randn(3, size, generator=generator)
    with torch.no_grad():
        old_log_probs = agent.policy(all_observations).log_prob(actions)
    index = torch.from_numpy(np.random.default_rng(0).permutation(size)[:MINIBATCH])

    def step():
        observations = all_observations[index]
        new = agent.policy(observations)
        policy_loss = ppo_clip_loss(
            new.log_prob(actions[index]),
            old_log_probs[index],
            advantages[index],
            settings.clip_range,
        )
        critic_loss = value_loss(
            agent.value_network(observations), targets[index], old_values[index], None
        )
        require_finite(policy_loss=policy_loss, value_loss=critic_loss)
        loss = policy_loss + settings.value_coef * critic_loss
        make_step(agent, loss, settings.max_grad_norm)
        policy_loss.item(), critic_loss.item()
        return torch.cat([p.detach().reshape(-1) for p in agent.parameters()])

    return step


def run(env_id: str, seed: int) -> dict[str, float]:
    """Train both sides with the preset of PPO, update by update in turn."""
    from course_lib.algorithms import ppo
    from course_lib.algorithms.presets import preset
    from course_lib.training.run import Run
    from course_lib.training.train import one_thread

    from .plain import make_plain, plain_gradient_step

    settings = replace(preset("ppo", env_id), anneal_learning_rate=False)
    sides = {name: Run(env_id, settings, 10**6, seed, "auto") for name in ("ours", "plain")}
    make_plain(sides["plain"].agent)
    steps = {"ours": ppo.gradient_step, "plain": plain_gradient_step}
    taken = dict.fromkeys(sides, 0.0)
    with one_thread():
        for update in range(UPDATES + 1):
            for name, side in sides.items():
                with mock.patch.object(ppo, "gradient_step", steps[name]):
                    start = time.process_time()
                    side.advance()
                    if update > 0:
                        taken[name] += time.process_time() - start
    for side in sides.values():
        side.envs.close()
    count = UPDATES * settings.n_envs * settings.horizon
    return {name: seconds / count for name, seconds in taken.items()}


def main() -> None:
    """Measure what the command line says and print it as one line of JSON."""
    what, *arguments = sys.argv[1:]
    taken = minibatch() if what == "minibatch" else run(arguments[0], int(arguments[1]))
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
