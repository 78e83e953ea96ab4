"""PPO compiled as a whole by JAX, with PureJaxRL's settings for CartPole-v1.

The loop is written here, after the idea of PureJaxRL (Lu et al., 2022): environment, rollout, GAE
and epochs are one compiled function, so that Python is entered once per update. gymnax simulates,
flax holds the networks, distrax the distribution, optax the optimiser. Compilation is timed apart.

``python -m benchmarks.compiled SEED`` runs once and prints JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections import deque

# PureJaxRL's ppo.py of 2023: its published settings for CartPole-v1.
COPIES, HORIZON, TOTAL_STEPS = 4, 128, 500_000
EPOCHS, MINIBATCHES = 4, 4
LEARNING_RATE, GAMMA, GAE_LAMBDA, CLIP_RANGE = 2.5e-4, 0.99, 0.95, 0.2
ENTROPY_COEF, VALUE_COEF, MAX_GRAD_NORM = 0.01, 0.5, 0.5
UPDATES = TOTAL_STEPS // (COPIES * HORIZON)
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def measure(seed: int) -> dict:
    """Return one run's record, from a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.compiled", str(seed)]
    environment = {**os.environ, "XLA_FLAGS": ONE_THREAD, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def make_functions():
    """Return ``start(key)`` and ``update(state)``, to be compiled."""
    import distrax
    import flax.linen as nn
    import gymnax
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    env, env_params = gymnax.make("CartPole-v1")

    class Network(nn.Module):
        """Two hidden layers of 64, apart for actor and critic."""

        outputs: int
        output_scale: float

        @nn.compact
        def __call__(self, x):
            for _ in range(2):
                x = nn.tanh(nn.Dense(64, kernel_init=nn.initializers.orthogonal(np.sqrt(2)))(x))
            head = nn.initializers.orthogonal(self.output_scale)
            return nn.Dense(self.outputs, kernel_init=head)(x)

    actor, critic = Network(2, 0.01), Network(1, 1.0)
    steps_in_all = UPDATES * EPOCHS * MINIBATCHES
    optimizer = optax.chain(
        optax.clip_by_global_norm(MAX_GRAD_NORM),
        optax.adam(optax.linear_schedule(LEARNING_RATE, 0.0, steps_in_all), eps=1e-5),
    )

    def start(key):
        key, key_env, key_actor, key_critic = jax.random.split(key, 4)
        observations, envs = jax.vmap(env.reset, (0, None))(
            jax.random.split(key_env, COPIES), env_params
        )
        weights = (
            actor.init(key_actor, observations[0]),
            critic.init(key_critic, observations[0]),
        )
        return weights, optimizer.init(weights), envs, observations, jnp.zeros(COPIES), key

    def one_step(carry, _):
        weights, envs, observations, running, key = carry
        key, key_act, key_env = jax.random.split(key, 3)
        policy = distrax.Categorical(actor.apply(weights[0], observations))
        actions, log_probs = policy.sample_and_log_prob(seed=key_act)
        values = critic.apply(weights[1], observations)[..., 0]
        following, envs, rewards, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(
            jax.random.split(key_env, COPIES), envs, actions, env_params
        )
        done = terminated | truncated  # the time limit counts as an end, as it does there
        running = running + rewards
        seen = (observations, actions, log_probs, values, rewards, done, running)
        return (weights, envs, following, jnp.where(done, 0.0, running), key), seen

    def loss(weights, minibatch):
        observations, actions, old_log_probs, old_values, advantages, targets = minibatch
        policy = distrax.Categorical(actor.apply(weights[0], observations))
        values = critic.apply(weights[1], observations)[..., 0]
        held = old_values + jnp.clip(values - old_values, -CLIP_RANGE, CLIP_RANGE)
        errors = jnp.maximum((values - targets) ** 2, (held - targets) ** 2)
        normalised = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = jnp.exp(policy.log_prob(actions) - old_log_probs)
        clipped = jnp.clip(ratio, 1 - CLIP_RANGE, 1 + CLIP_RANGE)
        gain = jnp.minimum(ratio * normalised, clipped * normalised).mean()
        return VALUE_COEF * 0.5 * errors.mean() - gain - ENTROPY_COEF * policy.entropy().mean()

    def one_minibatch(carry, minibatch):
        weights, moments = carry
        change, moments = optimizer.update(jax.grad(loss)(weights, minibatch), moments)
        return (optax.apply_updates(weights, change), moments), None

    def update(state):
        weights, moments, envs, observations, running, key = state
        (_, envs, observations, running, key), seen = jax.lax.scan(
            one_step, (weights, envs, observations, running, key), None, HORIZON
        )
        s, a, log_probs, values, rewards, done, returns = seen
        last = critic.apply(weights[1], observations)[..., 0]

        def backwards(carry, row):
            advantage, following = carry
            reward, value, ended = row
            delta = reward + GAMMA * following * (1 - ended) - value
            advantage = delta + GAMMA * GAE_LAMBDA * (1 - ended) * advantage
            return (advantage, value), advantage

        _, advantages = jax.lax.scan(
            backwards, (jnp.zeros(COPIES), last), (rewards, values, done), reverse=True
        )
        batch = (s, a, log_probs, values, advantages, advantages + values)
        flat = jax.tree.map(lambda x: x.reshape(COPIES * HORIZON, *x.shape[2:]), batch)

        def one_epoch(carry, key):
            order = jax.random.permutation(key, COPIES * HORIZON).reshape(MINIBATCHES, -1)
            return jax.lax.scan(one_minibatch, carry, jax.tree.map(lambda x: x[order], flat))

        key, key_epochs = jax.random.split(key)
        (weights, moments), _ = jax.lax.scan(
            one_epoch, (weights, moments), jax.random.split(key_epochs, EPOCHS)
        )
        return (weights, moments, envs, observations, running, key), (done, returns)

    return start, update


def main() -> None:
    """Train until the last 20 episodes average 475, and print the record as one line of JSON."""
    import jax
    import numpy as np

    seed = int(sys.argv[1])
    start, update = make_functions()
    began = time.process_time()
    state = jax.jit(start)(jax.random.key(seed))
    compiled = jax.jit(update).lower(state).compile()
    jax.block_until_ready(state)
    compilation = time.process_time() - began

    began, last_episodes, arrived, done_updates = time.process_time(), deque(maxlen=20), False, 0
    while done_updates < UPDATES and not arrived:
        state, (done, returns) = compiled(state)
        last_episodes.extend(np.asarray(returns)[np.asarray(done)].tolist())
        done_updates += 1
        arrived = len(last_episodes) == 20 and sum(last_episodes) / 20 >= 475
    record = {
        "arrived": arrived,
        "steps": done_updates * COPIES * HORIZON,
        "cpu_seconds": time.process_time() - began,
        "compilation": compilation,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
