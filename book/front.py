"""Draw the landing page's moving picture, the card for shared links, and the icon.

``python -m book.front`` trains the policy that is shown (less than a minute), ``python -m book.front DIR``
takes one from a folder that ``python -m course_lib train`` has written.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from book.moving_picture import moving_picture
from course_lib.algorithms.agent import Agent, acting_parts
from course_lib.algorithms.presets import preset
from course_lib.experience.contract import single_precision
from course_lib.experience.envs import make_env
from course_lib.experience.envs.swingup import LENGTH, TIME_STEP, X_LIMIT
from course_lib.show.plots import COLOURS, use_style
from course_lib.training.train import load_agent, train

STATIC = Path(__file__).parent / "static"
WORLD = "CartPoleSwingUp-v0"
TRAINED, STEPS, EPISODE = 120, 500_000, 0  # seed and length of training, seed of the episode


def play(agent: Agent, seed: int) -> NDArray:
    """The states (T + 1, 4) of an episode in which the policy takes its mean action."""
    network, normalizer = acting_parts(agent)
    act, world = network.greedy(), make_env(WORLD)
    observation, _ = world.reset(seed=seed)
    states, ended = [world.unwrapped.state], False
    while not ended:
        seen = observation[None] if normalizer is None else normalizer(observation[None])
        observation, _, terminated, truncated, _ = world.step(
            act(single_precision("seen", seen))[0]
        )
        states.append(world.unwrapped.state)
        ended = terminated or truncated
    return np.array(states)


def risen_after(states: NDArray) -> float:
    """Seconds until the pole stands within 18 degrees of upright, and stays there to the end."""
    low = np.flatnonzero(np.cos(states[:, 2]) < 0.95)
    return TIME_STEP * (int(low[-1]) + 1 if len(low) else 0)


def draw_card(states: NDArray, path: Path) -> None:
    """The swing-up as one picture, 1200 by 630, with the title beside it."""
    use_style()
    figure = plt.figure(figsize=(12, 6.3), layout="none", facecolor="#fdfcfa")
    axes = figure.add_axes((0, 0.02, 1, 0.62))
    axes.set_axis_off()
    axes.set(xlim=(-X_LIMIT - 0.6, X_LIMIT + 0.6), ylim=(-0.8, 0.85), aspect="equal")
    axes.plot([-X_LIMIT, X_LIMIT], [0, 0], color="#c9c6bd", lw=3)
    x, theta = states[:, 0], states[:, 2]
    risen = round(risen_after(states) / TIME_STEP)
    for i in range(0, risen + 1, 6):
        axes.plot(
            [x[i], x[i] - LENGTH * np.sin(theta[i])],
            [0, LENGTH * np.cos(theta[i])],
            color=COLOURS[1],
            lw=3,
            alpha=0.12 + 0.35 * i / risen,
            solid_capstyle="round",
        )
    axes.plot([x[-1], x[-1] - LENGTH * np.sin(theta[-1])], [0, LENGTH * np.cos(theta[-1])],
              color=COLOURS[1], lw=10, solid_capstyle="round")  # fmt: skip
    axes.add_patch(plt.Rectangle((x[-1] - 0.2, -0.1), 0.4, 0.2, color=COLOURS[0], zorder=3))
    figure.text(0.06, 0.82, "Trust Regions", fontsize=54, fontweight="bold", color="#20252d")
    figure.text(0.06, 0.72, "TRPO and PPO from first principles,", fontsize=25, color="#59616d")
    figure.text(0.06, 0.655, "with the claims put to the test", fontsize=25, color="#59616d")
    figure.savefig(path, dpi=100, facecolor="#fdfcfa")
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<style>.a{fill:#1b5799}.b{stroke:#b4560a}.c{fill:#b4560a}
@media (prefers-color-scheme:dark){.a{fill:#92bff5}.b{stroke:#f0a860}.c{fill:#f0a860}}</style>
<path class="b" d="M30 46 40 14" stroke-width="8" stroke-linecap="round"/><circle class="c" cx="40" cy="13" r="8"/>
<rect class="a" x="8" y="40" width="46" height="18" rx="5"/></svg>
"""


def draw_icon(svg: Path, png: Path) -> None:
    """The icon twice: for browsers that take an SVG, and for the others."""
    svg.write_text(ICON)
    large = Image.new("RGBA", (512, 512))
    pen = ImageDraw.Draw(large)
    pen.line((240, 368, 320, 112), fill="#b4560a", width=64)
    pen.ellipse((256, 40, 384, 168), fill="#b4560a")
    pen.rounded_rectangle((64, 320, 432, 464), 40, fill="#1b5799")
    large.resize((64, 64), Image.Resampling.LANCZOS).save(png, optimize=True)


def main(arguments: list[str]) -> None:
    """Write all of them below ``book/static``."""
    if arguments:
        agent = load_agent(arguments[0])
    else:
        agent = train(WORLD, preset("ppo", WORLD), STEPS, TRAINED).agent
    states = play(agent, EPISODE)
    print(f"{len(states) - 1} steps; upright to the end from {risen_after(states):.2f} s on")
    title = (
        "A cart on a track moves to and fro until the pole that hangs from it has swung up, and "
        f"balances it. The pole stands upright after {risen_after(states):.2f} seconds, to the end."
    )
    (STATIC / "swingup.svg").write_text(moving_picture(states, title))
    draw_card(states, STATIC / "card.png")
    draw_icon(STATIC / "favicon.svg", STATIC / "favicon.png")


if __name__ == "__main__":
    main(sys.argv[1:])
