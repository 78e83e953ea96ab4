"""What draws, films and shows: figures, GIFs, playable figures, source code."""

from .claims import claim
from .explore import panel, playable
from .plots import picture, plot_diagnostics, plot_returns, use_style
from .render import film, record_episode
from .source import show_source

__all__ = [
    "claim",
    "film",
    "panel",
    "picture",
    "playable",
    "plot_diagnostics",
    "plot_returns",
    "record_episode",
    "show_source",
    "use_style",
]
