"""Figures: one style for the whole book, pictures with a text equivalent, and the usual curves."""

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

if TYPE_CHECKING:
    from ..training.train import History

#: Okabe and Ito's colours: told apart with every common kind of colour blindness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
#: Line styles to go with the colours, so that colour never carries a meaning alone.
DASHES = ("-", "--", "-.", ":")


def use_style() -> None:
    """Set the book's style for all later figures: light grid, no frame, readable at phone width."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette=list(COLOURS),
        rc={
            "figure.figsize": (5.6, 3.4),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "grid.color": "#e4e4e4",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        },
    )


class Picture:
    """An image that displays itself, with its text equivalent, the same in every viewer.

    Parameters
    ----------
    data : bytes
        The encoded image.
    media_type : str
        Such as ``"image/png"``.
    alt : str
        What the image shows, in words and numbers, for readers who do not see it.
    width : int, optional
        Width on the page in pixels; never more than the page has.

    Raises
    ------
    ValueError
        If the text equivalent is empty.
    """

    def __init__(self, data: bytes, media_type: str, alt: str, width: int | None = None) -> None:
        if not alt.strip():
            raise ValueError("alt is empty: say in words what the picture shows")
        self.data, self.media_type, self.alt, self.width = data, media_type, alt, width

    def _repr_html_(self) -> str:
        encoded = base64.b64encode(self.data).decode()
        width = f' width="{self.width}"' if self.width else ""
        return (
            f'<img class="picture" src="data:{self.media_type};base64,{encoded}" '
            f'alt="{html.escape(self.alt)}"{width} '
            'style="max-width: 100%; height: auto; background: #fff; border-radius: 6px">'
        )


def picture(figure: Figure, alt: str) -> Picture:
    """A Matplotlib figure with its text equivalent; closes the figure.

    Parameters
    ----------
    figure : Figure
    alt : str
        What the figure shows: its message and its main numbers, not its looks.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the text equivalent is empty, or the figure is none.
    """
    require_figure(figure, "the picture")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * figure.dpi, facecolor="white")
    width = round(figure.get_figwidth() * figure.dpi)
    plt.close(figure)
    return Picture(buffer.getvalue(), "image/png", alt, width)


def require_figure(figure: object, what: str) -> None:
    """Raise a ValueError unless it is a Matplotlib figure, and not its axes or both."""
    if not isinstance(figure, Figure):
        raise ValueError(
            f"{what} must be a Matplotlib figure, got {type(figure).__name__}; a function that "
            "draws has to return its figure, alone"
        )


def label_steps(axes: Axes) -> None:
    """Label the horizontal axis as environment steps, in thousands (k) and millions (M)."""
    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def plot_returns(histories: Sequence["History"], window: int = 20) -> Figure:
    """Training returns against environment steps, one thin line per seed.

    Parameters
    ----------
    histories : sequence of History
        Runs of one algorithm on one environment.
    window : int
        Each point is the mean return of this many episodes, the latest to finish by then.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no run.
    """
    if not histories:
        raise ValueError("plot_returns needs at least one run")
    figure, axes = plt.subplots()
    for i, history in enumerate(histories):
        episodes = history.episodes
        smooth = episodes["return"].rolling(window, min_periods=1).mean()
        curve = smooth.groupby(episodes["step"]).last()
        axes.plot(curve.index, curve, DASHES[i % len(DASHES)], lw=1.3, label=f"seed {history.seed}")
    axes.set_ylabel(f"mean of the last {window} returns")
    label_steps(axes)
    axes.legend()
    return figure


def plot_diagnostics(updates: pd.DataFrame, columns: Sequence[str]) -> Figure:
    """Diagnostics of one run against environment steps, one small panel each.

    Parameters
    ----------
    updates : DataFrame
        `History.updates`.
    columns : sequence of str
        Which of its columns to draw; see `training.train.DIAGNOSTICS`.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the table has no such column, or none is named.
    """
    unknown = [name for name in columns if name not in updates]
    if unknown or not columns:
        raise ValueError(f"columns must be among {', '.join(updates)}; got {list(columns)}")
    rows = (len(columns) + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(5.6, 1.8 * rows), sharex=True, squeeze=False)
    for axes, name in zip(grid.flat, columns, strict=False):
        axes.plot(updates["step"], updates[name], lw=1.3)
        axes.set_title(name.replace("_", " "))
    for axes in grid.flat[len(columns) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        label_steps(axes)
    return figure
