"""Figures, films and shown source: what a reader gets, and that a text equivalent is not optional."""

import base64
import io
import re

import gymnasium as gym
import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import advantages
from course_lib.algorithms.presets import preset
from course_lib.policies import CategoricalPolicy, GaussianPolicy
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
    with pytest.raises(ValueError, match=r"among step, .*; got"):
        plot_diagnostics(history.updates, ["beta"])  # another algorithm's


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


def test_source_of_a_lambda_is_the_statement_it_stands_in():
    double = lambda x: 2 * x  # noqa: E731 (what is tested)
    assert "double = lambda x: 2 * x" in show_source(double).data


def test_source_of_a_builtin_is_refused():
    with pytest.raises(ValueError, match="no Python source"):
        show_source(len)


class Canvas(gym.Env):
    """Draws every frame on one canvas, 20 brighter a step, and every observation into one array."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(50, 100, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.canvas = np.zeros((20, 30, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        return np.zeros(2, np.float32), float(action[0]), self.t >= 8, False, {}

    def render(self):
        self.canvas[:] = 20 * self.t
        return self.canvas


def test_frames_of_one_canvas_are_copied_and_actions_are_on_its_scale():
    policy = GaussianPolicy(2, 1, torch.Generator().manual_seed(0))
    recorded, episode_return = record_episode(policy, Canvas, deterministic=True)
    assert [int(frame[0, 0, 0]) for frame in recorded] == [20 * t for t in range(9)]
    assert episode_return == pytest.approx(8 * 75, abs=1)  # an untrained mean is the middle


def test_an_environment_without_frames_is_named():
    class Blind(Canvas):
        def render(self):
            return None

    class Grey(Canvas):
        def render(self):
            return super().render()[..., 0]

    policy = GaussianPolicy(2, 1, torch.Generator().manual_seed(0))
    for env, words in (
        (Blind, "Blind must render frames .*, not None: .*rgb_array"),
        (Grey, r"not uint8 of shape \(20, 30\)"),
        (lambda: Canvas(), None),  # a function that takes no render_mode
    ):
        if words is None:
            assert len(record_episode(policy, env)[0]) == 9
            continue
        with pytest.raises(ValueError, match=words):
            record_episode(policy, env)


def durations(encoded):
    """Milliseconds that each frame of a GIF is shown."""
    with Image.open(io.BytesIO(encoded)) as image:
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            shown.append(image.info["duration"])
        return shown


@pytest.mark.parametrize("fps", [1, 7, 24, 30, 50, 60, 75, 100, 144, 1000])
@pytest.mark.parametrize("every", [1, 3])
def test_a_film_takes_as_long_as_what_it_shows(fps, every):
    """Browsers show a frame of less than 20 ms for 100 ms: a film of 100 a second crept."""
    count = 2 * fps if fps > 50 else 30
    film_of = [np.full((2, 2, 3), i % 256, np.uint8) for i in range(count)]
    shown = durations(encode_gif(film_of, fps=fps, width=2, every=every, colours=256))
    assert min(shown) >= 20
    assert sum(shown) == pytest.approx(1000 * count / fps, abs=1000 * every / fps + 25)


@pytest.mark.parametrize("count", [1, 5])
def test_a_film_in_which_nothing_moves(count):
    still = [np.zeros((2, 2, 3), np.uint8)] * count
    assert durations(encode_gif(still, fps=10, width=2)) == [100 * count]


def test_colours_that_only_a_middle_frame_has_are_shown():
    rng = np.random.default_rng(0)
    background = rng.integers(120, 200, (40, 60, 1)).astype(np.uint8).repeat(3, axis=2)
    film_of = [background.copy() for _ in range(9)]
    film_of[4][10:13, 20:23] = (255, 0, 0)  # 9 pixels of 2400, in one frame of nine
    film_of[5][20:23, 30:33] = (0, 60, 255)
    encoded = encode_gif(film_of, fps=10, width=60)
    with Image.open(io.BytesIO(encoded)) as image:
        pictures = []
        for i in range(image.n_frames):
            image.seek(i)
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    red = min(np.abs(p[11, 21] - (255, 0, 0)).max() for p in pictures)
    blue = min(np.abs(p[21, 31] - (0, 60, 255)).max() for p in pictures)
    assert red <= 2
    assert blue <= 2
    grey = np.abs(pictures[0] - background).max()
    assert grey <= 20  # the rest is not given up for it


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="one size"):
        encode_gif([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)], fps=10)


@pytest.fixture
def page(chromium, tmp_path):
    """A file with a film of five frames, a second each, and nothing else; a function opens it."""

    def load(motion):
        shown = film(frames(), fps=1, alt="A square moves right.", width=60)._repr_html_()
        (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{shown}')
        media = {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        chromium.get((tmp_path / "page.html").as_uri())
        return chromium

    yield load
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def state(browser):
    """The kind of picture that is shown, what the button says, and its name for a screen reader."""
    image, button = (browser.find_element("css selector", tag) for tag in ("img", "button"))
    kind = image.get_property("currentSrc").split(";")[0]
    assert button.accessible_name == button.text
    return kind, button.text


def press(browser, key):
    """Press a key on the button, as a reader does who came there with the Tab key."""
    from selenium.webdriver import ActionChains

    if browser.execute_script("return document.activeElement.tagName") != "BUTTON":
        ActionChains(browser).send_keys("\ue004").perform()
    ActionChains(browser).send_keys(key).perform()
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")


PLAYING, STOPPED = ("data:image/gif", "Pause the film"), ("data:image/png", "Play the film")


def test_a_film_is_stopped_and_played_by_key(page):
    browser = page("no-preference")
    assert state(browser) == PLAYING
    for key, after in (("\ue007", STOPPED), (" ", PLAYING), (" ", STOPPED), ("\ue007", PLAYING)):
        press(browser, key)
        assert state(browser) == after
        assert (
            browser.find_element("css selector", "img").accessible_name == "A square moves right."
        )


def test_who_wants_less_motion_sees_a_still_until_the_button_is_pressed(page):
    browser = page("reduce")
    assert state(browser) == STOPPED
    press(browser, " ")
    assert state(browser) == PLAYING
    press(browser, " ")
    assert state(browser) == STOPPED


def test_a_stopped_film_shows_one_of_its_frames_and_moves_no_more(page):
    browser = page("no-preference")
    press(browser, " ")
    still = browser.execute_script("return document.querySelector('source').srcset")
    data = base64.b64decode(still.split(",")[1])
    row = np.asarray(Image.open(io.BytesIO(data)).convert("L"))[15]
    assert row.argmax() in (0, 10, 20, 30, 40)
    assert (row > 128).sum() == 10
    picture = browser.find_element("css selector", "img")
    before = picture.screenshot_as_png
    browser.execute_async_script("setTimeout(arguments[0], 2200)")  # two frames later
    assert picture.screenshot_as_png == before


def test_the_still_of_a_film_is_its_first_frame():
    text = film(frames(), fps=20, alt="a square", width=60)._repr_html_()
    data = base64.b64decode(re.search(r'srcset="data:image/png;base64,([^"]*)"', text)[1])
    still = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert np.abs(still.astype(int) - frames()[0][..., 0]).max() <= 2
    assert (
        "data-lm-suppress-shortcuts" in text.split("<button")[1]
    )  # JupyterLab leaves its keys alone
