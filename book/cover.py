"""Draw the README's picture: ``python -m book.cover`` (about half a minute)."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from course_lib.algorithms.presets import preset
from course_lib.experience.envs.random_walk import RandomWalk
from course_lib.gae_error import gae_bias
from course_lib.show.plots import COLOURS, DASHES, label_steps, use_style
from course_lib.show.render import record_episode
from course_lib.training.train import train

PATH = Path(__file__).parent / "static" / "cover.png"


def main() -> None:
    """Train five agents, and draw their returns, a bias curve and one of them balancing."""
    use_style()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 2.9), width_ratios=(3, 3, 2.4))

    settings = preset("ppo", "CartPole-v1")
    runs = [train("CartPole-v1", settings, 60_000, seed, progress=False) for seed in range(5)]
    for run, style, colour in zip(runs, [*DASHES, "-"], COLOURS, strict=False):
        smooth = run.episodes["return"].rolling(20, min_periods=1).mean()
        curve = smooth.groupby(run.episodes["step"]).last()
        left.plot(curve, style, color=colour, lw=1.2)
    left.set_title("PPO on CartPole, five seeds")
    left.set_ylabel("return")
    label_steps(left)

    walk, gamma = RandomWalk(), 0.95
    error = np.random.default_rng(1).normal(size=walk.sites)
    error *= 0.3 / np.abs(error).max()
    transitions, _ = walk.transitions()
    policy = np.full((walk.sites, 2), 0.5)
    lambdas = np.linspace(0, 1, 41)
    biases = np.array([gae_bias(transitions, policy, error, gamma, x) for x in lambdas])
    middle.plot(lambdas, np.sqrt((biases**2).mean((1, 2))), label="bias of GAE")
    misleading = biases - biases.mean(2, keepdims=True)
    middle.plot(
        lambdas, np.sqrt((misleading**2).mean((1, 2))), "--", label="the part that misleads"
    )
    middle.set(title="A wrong critic, exactly", xlabel="λ", ylim=(0, 0.32))
    middle.legend()

    frames, _ = record_episode(runs[0].agent.policy, "CartPole-v1", seed=3)
    right.imshow(frames[150])
    right.set_axis_off()
    right.set_title("and the agent at work")

    figure.savefig(PATH, dpi=130)
    print(PATH)


if __name__ == "__main__":
    main()
