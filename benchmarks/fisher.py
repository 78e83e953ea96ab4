"""Fisher-vector products and whole TRPO policy updates against sb3-contrib.

``python -m benchmarks.fisher`` measures once and prints JSON. `measure` starts it nine times, in
fresh processes, once with glibc's default allocator and once with one that keeps its memory: by
default every temporary of a megabyte is mapped and unmapped anew, which costs more than the
arithmetic.
"""

import json
import os
import statistics
import subprocess
import sys
from functools import partial

PROCESSES = 9
BATCH, OBSERVATIONS, ACTIONS, HIDDEN = 4000, 8, 2, (64, 64)
ITERATIONS = 10
# glibc ignores a threshold above 32 MB without a word.
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**27),
}


def measure() -> dict:
    """Return, per allocator setting, every process's times."""
    return {
        "tuned": [in_fresh_process(TUNED) for _ in range(PROCESSES)],
        "default": [in_fresh_process({}) for _ in range(PROCESSES)],
    }


def in_fresh_process(variables: dict[str, str]) -> dict[str, float]:
    """Return the times that one process measures."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fisher"],
        env={**kept, **variables, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def ratios(processes: list[dict[str, float]], one: str, other: str) -> list[float]:
    """Return the ratio of two times in every process."""
    return [times[one] / times[other] for times in processes]


def median_ratio(processes: list[dict[str, float]], one: str, other: str) -> float:
    """Return the median over the processes of the ratio of two times."""
    return statistics.median(ratios(processes, one, other))


def main() -> None:
    """Measure once and print the median times in seconds as one line of JSON."""
    import torch

    from .timing import medians, side_by_side

    torch.set_num_threads(1)
    check_that_both_compute_the_same(our_side(), their_side())
    ours, theirs = our_side(), their_side()
    products = {
        "forward_backward": ours["forward_backward"],
        "product": ours["product"],
        "autograd_product": ours["autograd_product"],
        "sb3_product": theirs["product"],
    }
    taken = medians(side_by_side(products, rounds=9, seconds=0.15))
    # Only now: an update changes the parameters that the products' graphs belong to.
    updates = {"update": ours["update"], "sb3_update": theirs["update"]}
    taken |= medians(side_by_side(updates, rounds=9, seconds=0.15))
    print(json.dumps(taken))


def our_side() -> dict:
    """Return our product and update as calls."""
    import torch

    from course_lib.algorithms.trpo import trpo_policy_step
    from course_lib.fisher import fisher_operator
    from course_lib.network_fisher import network_fisher_operator
    from course_lib.policies import GaussianPolicy

    generator = torch.Generator().manual_seed(0)
    policy = GaussianPolicy(OBSERVATIONS, ACTIONS, generator, HIDDEN)
    observations = torch.randn(BATCH, OBSERVATIONS, generator=generator)
    with torch.no_grad():
        actions = policy(observations).mean + torch.randn(BATCH, ACTIONS, generator=generator)
    advantages = torch.randn(BATCH, generator=generator)
    start = [p.detach().clone() for p in policy.parameters()]
    vector = torch.randn(sum(p.numel() for p in start), generator=generator)

    def forward_backward():
        loss = policy(observations).log_prob(actions).mean()
        return torch.autograd.grad(loss, list(policy.parameters()))

    def update():
        with torch.no_grad():
            for p, old in zip(policy.parameters(), start, strict=True):
                p.copy_(old)
        return trpo_policy_step(
            policy, observations, actions, advantages, cg_iterations=ITERATIONS, damping=0.1
        )

    return {
        "policy": policy,
        "observations": observations,
        "actions": actions,
        "advantages": advantages,
        "vector": vector,
        "forward_backward": forward_backward,
        "product": partial(network_fisher_operator(policy, observations), vector),
        "autograd_product": partial(
            fisher_operator(policy(observations), list(policy.parameters())), vector
        ),
        "update": update,
    }


def their_side() -> dict:
    """Return sb3-contrib's product and the policy part of its update as calls.

    The update is their `train` with its critic switched off: no critic updates.
    """
    import gymnasium as gym
    import numpy as np
    import torch
    from sb3_contrib import TRPO
    from stable_baselines3.common.logger import configure

    class Still(gym.Env):
        """An environment of the right shapes, never stepped."""

        observation_space = gym.spaces.Box(-10, 10, (OBSERVATIONS,), np.float32)
        action_space = gym.spaces.Box(-10, 10, (ACTIONS,), np.float32)

        def reset(self, *, seed=None, options=None):
            return np.zeros(OBSERVATIONS, np.float32), {}

        def step(self, action):
            raise NotImplementedError

    model = TRPO(
        "MlpPolicy",
        Still(),
        n_steps=BATCH,
        batch_size=BATCH,
        cg_max_steps=ITERATIONS,
        n_critic_updates=0,
        seed=0,
        device="cpu",
    )
    model.set_logger(configure(None, []))
    model._current_progress_remaining = 1.0
    rng = np.random.default_rng(0)
    observations = torch.from_numpy(rng.normal(size=(BATCH, OBSERVATIONS)).astype(np.float32))
    with torch.no_grad():
        actions, _, log_probs = model.policy(observations)
    buffer = model.rollout_buffer
    buffer.observations, buffer.actions = observations.numpy(), actions.numpy()
    buffer.log_probs = log_probs.numpy()
    buffer.advantages = rng.normal(size=BATCH).astype(np.float32)
    buffer.values = buffer.returns = np.zeros(BATCH, dtype=np.float32)
    buffer.full = buffer.generator_ready = True  # flat already, as after their first `get`
    start = {name: value.clone() for name, value in model.policy.state_dict().items()}

    def update():
        model.policy.load_state_dict(start)
        model.train()

    parameters, gradients = kl_gradient(model, observations, actions)
    vector = torch.randn(len(gradients))
    product = partial(
        model.hessian_vector_product, parameters, gradients, vector, retain_graph=True
    )
    return {"product": product, "update": update, "damping": model.cg_damping, "model": model}


def kl_gradient(model, observations, actions) -> tuple:
    """Return their policy's parameters and the KL's gradient with its graph, as they compute it."""
    import copy

    import torch
    from stable_baselines3.common.distributions import kl_divergence

    with torch.no_grad():  # their distribution object is one and the same at every call
        old = copy.copy(model.policy.get_distribution(observations))
    new = model.policy.get_distribution(observations)
    objective = new.log_prob(actions).mean()
    parameters, _, gradients, _ = model._compute_actor_grad(
        kl_divergence(new, old).mean(), objective
    )
    return parameters, gradients


def check_that_both_compute_the_same(ours: dict, theirs: dict) -> None:
    """Compare both products at the same network, state and vector.

    Theirs averages the KL over the action's dimensions, so it is F / dimensions + damping.
    """
    import torch

    model, policy = theirs["model"], ours["policy"]
    layers = [model.policy.mlp_extractor.policy_net[i] for i in (0, 2)]
    layers.append(model.policy.action_net)
    with torch.no_grad():
        model.policy.log_std.copy_(policy.log_std)
        for theirs_, ours_ in zip(layers, policy.net.layers, strict=True):
            theirs_.weight.copy_(ours_.weight)
            theirs_.bias.copy_(ours_.bias)
    parameters, gradients = kl_gradient(model, ours["observations"], ours["actions"])
    vector = ours["vector"]
    given = model.hessian_vector_product(parameters, gradients, vector, retain_graph=True)
    expected = ours["product"]() / ACTIONS + theirs["damping"] * vector
    error = (given - expected).abs().max() / expected.abs().max()
    if not error < 1e-4:
        raise AssertionError(f"the two Fisher products differ by {error:.2g}")


if __name__ == "__main__":
    main()
