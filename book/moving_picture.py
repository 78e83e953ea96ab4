"""A moving picture of the swing-up as an SVG: small, sharp, in the page's colours, no script.

Style sheets move it, so a reader can hold it (the box "Hold" beside it), a system that asks for less
motion shows it still, and a still one has everything in it: the places where the pole was, and the
curve of its height.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from course_lib.experience.envs.swingup import LENGTH, TIME_STEP, X_LIMIT

METRE = 150  # units of the drawing
WIDE, CEILING, TRACK, FLOOR = 800, 56, 175, 420  # width, and heights from above
TOP, BOTTOM, LEFT, RIGHT = 318, 396, 96, 776  # of the curve
EVERY = 4  # steps between two key frames: 25 in a second, and straight moves between them
REST = 0.12  # share of the loop in which the last state stands
SLOWER = 2  # the picture takes so many times as long as the episode

STYLE = """
.swing { --ground: #fdfcfa; --ink: #20252d; --quiet: #59616d; --faint: #c9c6bd; --cart: #1b5799; --pole: #b4560a; }
.swing text { font: 500 15px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; fill: var(--quiet); }
@media (max-width: 600px) { .swing text { font-size: 21px; } }
.swing-rail { stroke: var(--faint); stroke-width: 3; stroke-linecap: round; }
.swing-cart { fill: var(--cart); }
.swing-pole { stroke: var(--pole); stroke-width: 8; stroke-linecap: round; }
.swing-tip { fill: var(--pole); }
.swing-pin { fill: var(--ground); }
.swing-ghost { stroke: var(--pole); stroke-width: 3; stroke-linecap: round; }
.swing-trail { fill: none; stroke: var(--pole); stroke-width: 1.5; opacity: 0.55; }
.swing-axis { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 2 4; }
.swing-curve { fill: none; stroke: var(--cart); stroke-width: 2.5; stroke-linejoin: round; }
.swing-now { fill: var(--pole); }
"""


def moving_picture(states: NDArray, title: str) -> str:
    """The SVG of one episode.

    Parameters
    ----------
    states : ndarray, shape (T + 1, 4)
        As in `swingup_dynamics`, one row for every step, T a multiple of 4.
    title : str
        What is seen, for readers who do not see it.

    Returns
    -------
    str
    """
    x, theta = states[:, 0], states[:, 2]
    seconds = TIME_STEP * (len(states) - 1)
    across = WIDE / 2 + METRE * x
    degrees = -np.degrees(theta)
    tips = np.stack(
        [across - METRE * LENGTH * np.sin(theta), TRACK - METRE * LENGTH * np.cos(theta)], 1
    )
    right = LEFT + (RIGHT - LEFT) * np.arange(len(states)) / (len(states) - 1)
    height = (TOP + BOTTOM) / 2 - (BOTTOM - TOP) / 2 * np.cos(theta)
    risen = int(np.argmax(np.cos(theta) > 0.95))
    moves = {
        "cart": lambda i: f"translateX({across[i]:.1f}px)",
        "pole": lambda i: f"rotate({degrees[i]:.1f}deg)",
        "now": lambda i: f"translate({right[i]:.1f}px,{height[i]:.1f}px)",
    }
    ghosts = "".join(
        f'<line class="swing-ghost" x1="{across[i]:.1f}" y1="{TRACK}" x2="{tips[i, 0]:.1f}" '
        f'y2="{tips[i, 1]:.1f}" opacity="{0.08 + 0.3 * i / risen:.2f}"/>\n'
        for i in range(0, risen + 1, 6)
    )
    stops = "".join(
        f'<path class="swing-rail" d="M{WIDE / 2 + side * METRE * X_LIMIT:.0f} {TRACK - 14}v28"/>'
        for side in (-1, 1)
    )
    last = len(states) - 1
    return f"""<svg class="swing" xmlns="http://www.w3.org/2000/svg" viewBox="0 {CEILING} {WIDE} {FLOOR - CEILING}" role="img" aria-label="{title}">
<style>{STYLE}{_rules(moves, last, seconds)}</style>
<path class="swing-rail" d="M{WIDE / 2 - METRE * X_LIMIT:.0f} {TRACK}H{WIDE / 2 + METRE * X_LIMIT:.0f}"/>{stops}
{ghosts}<path class="swing-trail" d="{_path(tips[: risen + 1 : 2])}"/>
<g class="swing-moves swing-cart-moves"><rect class="swing-cart" x="-31" y="{TRACK - 15}" width="62" height="30" rx="6"/>
<g transform="translate(0 {TRACK})"><g class="swing-moves swing-pole-moves"><path class="swing-pole" d="M0 0V{-METRE * LENGTH:.0f}"/>
<circle class="swing-tip" cy="{-METRE * LENGTH:.0f}" r="9"/></g><circle class="swing-pin" r="4"/></g></g>
<path class="swing-axis" d="M{LEFT} {TOP}H{RIGHT}M{LEFT} {BOTTOM}H{RIGHT}"/>
<text x="{LEFT - 12}" y="{TOP + 5}" text-anchor="end">upright</text>
<text x="{LEFT - 12}" y="{BOTTOM + 5}" text-anchor="end">hanging</text>
<text x="{LEFT}" y="{FLOOR - 2}">0</text><text x="{RIGHT}" y="{FLOOR - 2}" text-anchor="end">{seconds:g} seconds</text>
<path class="swing-curve" d="{_path(np.stack([right, height], 1)[::2])}"/>
<g class="swing-moves swing-now-moves"><circle class="swing-now" r="6"/></g>
</svg>
"""


def _path(points: NDArray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _rules(moves: dict[str, Callable[[int], str]], last: int, seconds: float) -> str:
    """Key frames, and the state that stands where nothing moves: the last one."""
    rules = [
        f".swing-moves {{ animation: {SLOWER * seconds / (1 - REST):.2f}s linear infinite; }}",
        "@media (prefers-reduced-motion: reduce) { .swing-moves { animation: none !important; } }",
    ]
    for name, move in moves.items():
        frames = "".join(
            f"{100 * (1 - REST) * i / last:.2f}%{{transform:{move(i)}}}"
            for i in range(0, last, EVERY)
        )
        rules += [
            f".swing-{name}-moves {{ transform: {move(last)}; animation-name: swing-{name}; }}",
            f"@keyframes swing-{name}{{{frames}{100 * (1 - REST):.0f}%,to{{transform:{move(last)}}}}}",
        ]
    return "\n".join(rules) + "\n"
