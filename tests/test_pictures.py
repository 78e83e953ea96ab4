"""Figures, films and shown source: what a reader gets, and that a text equivalent is not optional."""

import io
import re

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import advantages
from course_lib.algorithms.presets import preset
from course_lib.policies import CategoricalPolicy
from course_lib.show.plots import Picture, picture, plot_diagnostics, plot_returns, use_style
from course_lib.show.render import encode_gif, film, record_episode, save_gif
from course_lib.show.source import show_source
from course_lib.training.train import train


@pytest.fixture(scope="module")
def history():
    return train("CartPole-v1", preset("ppo", "CartPole-v1"), 4000, seed=0, progress=False)


def frames(n=5):
    """A white square that moves right on black, 10 pixels a frame."""
    film = np.zeros((n, 40, 60, 3), dtype=np.uint8)
    for i in range(n):
        film[i, 10:20, 10 * i : 10 * i + 10] = 255
    return list(film)


def test_picture_carries_its_text_equivalent_escaped():
    figure, _ = plt.subplots()
    html = picture(figure, alt='a < b & "c"')._repr_html_()
    assert 'alt="a &lt; b &amp; &quot;c&quot;"' in html
    assert html.startswith("<img ")
    # Closed, or the notebook would show it a second time.
    assert not plt.fignum_exists(figure.number)


def test_picture_is_a_png_of_twice_its_width_on_the_page():
    figure = plt.figure(figsize=(4, 2), dpi=100)
    shown = picture(figure, alt="empty")
    assert iio.imread(shown.data).shape[:2] == (400, 800)
    assert shown.width == 400


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_missing_text_equivalent_is_refused(alt):
    with pytest.raises(ValueError, match="alt"):
        Picture(b"", "image/png", alt)


def test_gif_shows_the_frames_at_the_recorded_speed():
    encoded = encode_gif(frames(), fps=20, width=60)
    shown = iio.imread(io.BytesIO(encoded), extension=".gif", index=...)
    assert [int(image[15].argmax() // 3) for image in shown] == [0, 10, 20, 30, 40]
    assert iio.immeta(io.BytesIO(encoded), extension=".gif")["duration"] == 50


def test_gif_with_frames_left_out_keeps_speed_and_last_frame():
    encoded = encode_gif(frames(6), fps=20, width=60, every=2)
    shown = iio.imread(io.BytesIO(encoded), extension=".gif", index=...)
    assert [int(image[15].argmax() // 3) for image in shown] == [0, 20, 40, 50]
    assert iio.immeta(io.BytesIO(encoded), extension=".gif")["duration"] == 100


def test_gif_loops_and_is_saved(tmp_path):
    path = save_gif(tmp_path / "film.gif", frames(), fps=20)
    assert iio.immeta(path)["loop"] == 0
    assert film(frames(), fps=20, alt="a square moves right").media_type == "image/gif"


@pytest.mark.parametrize("wrong", [{"frames": []}, {"fps": 0}, {"every": 0}])
def test_gif_refuses_nonsense(wrong):
    with pytest.raises(ValueError, match="frames"):
        encode_gif(**({"frames": frames(), "fps": 20} | wrong))


def test_recorded_episode_has_a_frame_per_state_and_the_return():
    policy = CategoricalPolicy(4, 2, torch.Generator().manual_seed(0))
    recorded, episode_return = record_episode(policy, "CartPole-v1", seed=1)
    assert len(recorded) == episode_return + 1  # CartPole earns 1 a step
    assert recorded[0].shape == (400, 600, 3)
    assert (recorded[0] != recorded[-1]).any()
    again, _ = record_episode(policy, "CartPole-v1", seed=1)
    np.testing.assert_array_equal(recorded[-1], again[-1])
    short, _ = record_episode(policy, "CartPole-v1", seed=1, max_steps=3)
    assert len(short) == 4


def test_return_curve_is_the_rolling_mean_of_episodes(history):
    use_style()
    figure = plot_returns([history], window=5)
    (line,) = figure.axes[0].lines
    assert line.get_ydata()[-1] == pytest.approx(history.episodes["return"].tail(5).mean())
    assert line.get_xdata()[-1] == history.episodes["step"].iloc[-1]
    plt.close(figure)
    with pytest.raises(ValueError, match="at least one"):
        plot_returns([])


def test_diagnostics_are_drawn_and_unknown_ones_refused(history):
    figure = plot_diagnostics(history.updates, ["kl", "entropy", "value_loss"])
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in drawn] == ["kl", "entropy", "value loss"]
    np.testing.assert_array_equal(drawn[0].lines[0].get_ydata(), history.updates["kl"])
    plt.close(figure)
    with pytest.raises(ValueError, match="columns must be among"):
        plot_diagnostics(history.updates, ["happiness"])


def test_shown_source_is_the_librarys_without_docstring():
    shown = show_source(advantages.gae).data
    code = re.fullmatch(r"```python\n(.*)\n```", shown, re.DOTALL)[1]
    assert code.startswith("def gae(")
    assert "References" not in code
    assert "References" in show_source(advantages.gae, docstring=True).data
    space = dict(vars(advantages))
    exec(code, space)  # what is shown runs, and computes the same
    data = np.random.default_rng(0).normal(size=(3, 6, 2))
    flags = np.zeros((2, 6, 2), dtype=bool)
    np.testing.assert_array_equal(
        space["gae"](*data, *flags, 0.9, 0.8), advantages.gae(*data, *flags, 0.9, 0.8)
    )


def test_source_of_a_builtin_is_refused():
    with pytest.raises(ValueError, match="no Python source"):
        show_source(len)
