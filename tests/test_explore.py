"""The playable figure: what it refuses, what its HTML holds, and that it plays in a browser."""

import base64
import io
import itertools
from fractions import Fraction
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course_lib.show import explore
from course_lib.show.explore import panel, playable
from course_lib.show.plots import picture


def draw(height, width=1.0):
    figure, axis = plt.subplots(figsize=(2, 1), dpi=50)
    axis.bar([0], [height], width=width)
    axis.set(ylim=(0, 3), xlim=(-2, 2))
    return figure


def describe(*values):
    return f"A bar for {values}."


class Elements(HTMLParser):
    """The elements of a text, as ``(tag, attributes)``, and the text inside each tag."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.stack = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("img", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and data.strip():
            self.text.setdefault(self.stack[-1], []).append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def elements(figure):
    return Elements(figure._repr_html_())


def test_one_slider_gives_one_described_picture_for_each_value():
    page = elements(playable(draw, {"height": [0, 1, 2.5]}, alt=describe))
    assert [image["alt"] for image in page.all("img")] == [describe(h) for h in (0, 1, 2.5)]
    assert ["hidden" in image for image in page.all("img")] == [False, True, True]
    (slider,) = page.all("input")
    assert (slider["type"], slider["min"], slider["max"], slider["value"]) == (
        "range",
        "0",
        "2",
        "0",
    )
    assert slider["aria-valuetext"] == "0"
    assert page.text["label"] == ["height"]
    assert page.text["output"] == ["0"]
    assert page.text["figcaption"] == [describe(0)]
    assert page.stack == []


def test_each_slider_is_inside_its_label():
    text = playable(draw, {"height": [1, 2], "width": [1, 2]}, alt=describe)._repr_html_()
    for label in ("height", "width"):
        inside = text.split(f"<label>{label}")[1].split("</label>")[0]
        assert inside.count("<input") == 1


def test_pictures_are_what_was_drawn():
    figure = playable(draw, {"height": [0, 2]}, alt=describe)
    low, high = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(p.split(",")[1]))).convert("L"))
        for p in figure.pictures
    )
    assert low.shape == high.shape == (100, 200)  # two picture pixels for each pixel on the page
    assert figure.size == (100, 50)
    assert (high < 200).sum() > (low < 200).sum() + 500


def test_two_sliders_make_a_grid_whose_last_slider_moves_fastest():
    figure = playable(draw, {"height": [1, 2], "width": [1, 2, 3]}, alt=describe, start=(2, 1))
    assert figure.alt == [describe(*point) for point in itertools.product([1, 2], [1, 2, 3])]
    page = elements(figure)
    assert [slider["value"] for slider in page.all("input")] == ["1", "0"]
    assert ["hidden" in image for image in page.all("img")].index(False) == 3


def test_prepared_figures_and_texts_are_taken_as_they_are():
    figure = playable([draw(1), draw(2)], {"policy": ["untrained", "trained"]}, alt=["low", "high"])
    assert figure.alt == ["low", "high"]
    assert elements(figure).text["output"] == ["untrained"]


def test_the_same_figure_gives_the_same_html():
    first, second = (playable(draw, {"height": [0, 1]}, alt=describe) for _ in range(2))
    assert first._repr_html_() == second._repr_html_()
    assert "id=" not in first._repr_html_()  # so any number of figures can share a page


def test_labels_and_texts_are_escaped():
    figure = playable(draw, {"a < b": [1, 2]}, alt=lambda h: f'"{h}" & <b>')
    page = elements(figure)
    assert page.text["label"] == ["a < b"]
    assert page.all("img")[0]["alt"] == '"1" & <b>'


def test_figures_are_closed_even_after_an_error():
    before = plt.get_fignums()
    playable(draw, {"height": [1, 2]}, alt=describe)
    with pytest.raises(ValueError, match="one size"):
        playable([draw(1), plt.figure(figsize=(3, 3))], {"x": [1, 2]}, alt=describe)
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("alt", "complaint"),
    [
        (lambda h: "", "no text equivalent"),
        (lambda h: "  ", "no text equivalent"),
        (lambda h: None, "no text equivalent"),
        (lambda h: f"$h = {h}$", "plain text"),
        (lambda h: "always this", "same text equivalent"),
        (["one"], "2 texts"),
        ("ab", "2 texts"),
    ],
)
def test_a_frame_without_a_text_equivalent_is_refused(alt, complaint):
    with pytest.raises(ValueError, match=complaint):
        playable(draw, {"height": [1, 2]}, alt=alt)


def test_a_text_equivalent_cannot_be_left_out():
    with pytest.raises(TypeError, match="alt"):
        playable(draw, {"height": [1, 2]})


@pytest.mark.parametrize(
    ("values", "start", "complaint"),
    [
        ({"height": []}, None, "'height' has no values"),
        ({" ": [1]}, None, "label in plain text"),
        ({"$h$": [1]}, None, "label in plain text"),
        ({}, None, "at least one slider"),
        ({"height": [1, 2]}, (3,), "not among the values"),
        ({"height": [1, 2]}, (1, 2), "not among the values"),
    ],
)
def test_values_that_make_no_slider_are_refused(values, start, complaint):
    with pytest.raises(ValueError, match=complaint):
        playable(draw, values, alt=describe, start=start)


def test_too_few_prepared_figures_are_refused():
    with pytest.raises(ValueError, match="2 combinations of values need as many frames, got 1"):
        playable([draw(1)], {"height": [1, 2]}, alt=describe)


def noise(seed):
    figure, axis = plt.subplots(figsize=(2, 1), dpi=50)
    axis.imshow(np.random.default_rng(seed).random((50, 100)), aspect="auto")
    return figure


def test_large_frames_are_stored_coarser(monkeypatch):
    fine = sum(map(len, playable(noise, {"seed": [0, 1]}, alt=describe).pictures))
    monkeypatch.setattr(explore, "MAX_BYTES", fine - 1)
    assert sum(map(len, playable(noise, {"seed": [0, 1]}, alt=describe).pictures)) < fine


def test_frames_that_never_fit_are_refused(monkeypatch):
    monkeypatch.setattr(explore, "MAX_BYTES", 1_000)
    with pytest.raises(ValueError, match="use fewer values"):
        playable(noise, {"seed": [0, 1]}, alt=describe)


def test_one_figure_drawn_anew_for_each_value_gives_each_its_own_picture():
    figure, axis = plt.subplots(figsize=(2, 1), dpi=50)

    def redraw(height):
        axis.clear()
        axis.bar([0], [height], width=1.0)
        axis.set(ylim=(0, 3), xlim=(-2, 2))
        return figure

    before = plt.get_fignums()
    reused = playable(redraw, {"height": [0, 1, 2]}, alt=describe)
    assert reused.pictures == playable(draw, {"height": [0, 1, 2]}, alt=describe).pictures
    assert len(set(reused.pictures)) == 3
    assert plt.get_fignums() == [number for number in before if number != figure.number]


def test_a_prepared_figure_cannot_stand_for_several_frames():
    figure = draw(1)
    with pytest.raises(ValueError, match="one figure stands for several frames"):
        playable([figure, figure], {"height": [1, 2]}, alt=describe)
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (lambda figure: None, "NoneType"),
        (lambda figure: figure.axes[0], "Axes"),
        (lambda figure: (figure, figure.axes[0]), "tuple"),
    ],
)
def test_what_is_no_figure_is_named(result, name):
    with pytest.raises(ValueError, match=f"figure, got {name}"):
        playable(lambda height: result(draw(height)), {"height": [1, 2]}, alt=describe)
    with pytest.raises(ValueError, match=f"figure, got {name}"):
        picture(result(draw(1)), alt="A bar.")
    plt.close("all")


def test_many_frames_are_not_all_open_at_once():
    playable(draw, {"height": range(25)}, alt=describe)  # Matplotlib warns from 21 open figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1234567"),
        (np.int64(10**12), "1000000000000"),
        (1234567.0, "1234567"),
        (1e6, "1000000"),
        (np.float32(16777216), "16777216"),
        (1234567.5, "1234567.5"),
        (0.123456789, "0.123456789"),
        (np.float32(0.1), "0.1"),
        (0.1 + 0.2, "0.3"),
        (0.95, "0.95"),
        (1e-5, "1e-05"),
        (True, "True"),
        ("trained", "trained"),
        (Fraction(1, 3), "1/3"),
    ],
)
def test_numbers_are_shown_with_all_their_digits(value, text):
    assert playable(draw_nothing, {"x": [value]}, alt=describe).sliders == {"x": [text]}


def draw_nothing(value):
    return plt.figure(figsize=(1, 1), dpi=50)


def test_the_panel_calls_the_function_with_the_chosen_values():
    widgets = pytest.importorskip("ipywidgets")
    calls = []
    controls = panel(lambda **values: calls.append(values), lam=[0, 0.5, 1], gamma=[0.9])
    assert isinstance(controls, widgets.interactive)
    lam, gamma = controls.children[:2]
    assert (lam.description, gamma.description) == ("lam", "gamma")
    assert not lam.continuous_update
    lam.value = 0.5
    assert calls[-1] == {"lam": 0.5, "gamma": 0.9}


def test_the_panel_shows_a_returned_figure_once(capsys):
    pytest.importorskip("ipywidgets")
    before = plt.get_fignums()
    controls = panel(draw, height=[1, 2])
    controls.children[0].value = 2
    assert plt.get_fignums() == before


def test_a_panel_without_values_is_refused():
    with pytest.raises(ValueError, match="'lam' has no values"):
        panel(draw, lam=[])


@pytest.fixture
def page(chromium, tmp_path):
    """A file with two playable figures and nothing else, opened in the browser."""
    figures = (
        playable(draw, {"height": [0, 1, 2]}, alt=describe),
        playable(draw, {"height": [1, 2], "width": [1, 2, 3]}, alt=describe, start=(2, 1)),
    )
    body = "".join(figure._repr_html_() for figure in figures)
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{body}')
    chromium.get((tmp_path / "page.html").as_uri())
    return chromium


def visible(page):
    """The text of the picture that each figure shows, its caption, and its sliders' outputs."""
    return page.execute_script("""
        return [...document.querySelectorAll('.playable')].map(figure => {
            const shown = [...figure.querySelectorAll('img')].filter(i => i.offsetWidth > 0);
            return [shown.map(i => i.alt).join(), figure.querySelector('figcaption').textContent,
                    [...figure.querySelectorAll('output')].map(o => o.textContent).join()];
        });""")


def test_arrow_keys_move_one_figure_and_leave_the_other(page):
    assert visible(page) == [[describe(0)] * 2 + ["0"], [describe(2, 1)] * 2 + ["2,1"]]
    sliders = page.find_elements("css selector", "input")
    sliders[0].send_keys("\ue014")  # right
    assert visible(page) == [[describe(1)] * 2 + ["1"], [describe(2, 1)] * 2 + ["2,1"]]
    sliders[2].send_keys("\ue014")
    assert visible(page)[1] == [describe(2, 2)] * 2 + ["2,2"]
    sliders[2].send_keys("\ue014\ue014")  # beyond the last value
    sliders[1].send_keys("\ue012")  # left
    assert visible(page)[1] == [describe(1, 3)] * 2 + ["1,3"]
    assert sliders[2].get_attribute("aria-valuetext") == "3"


def test_the_mouse_moves_a_slider(page):
    from selenium.webdriver import ActionChains

    slider = page.find_element("css selector", "input")
    half = slider.size["width"] // 2
    ActionChains(page).move_to_element_with_offset(slider, half - 2, 0).click().perform()
    assert visible(page)[0] == [describe(2)] * 2 + ["2"]


def test_a_browser_knows_each_slider_by_its_label(page):
    names = [slider.accessible_name for slider in page.find_elements("css selector", "input")]
    assert names == ["height", "height", "width"]


def test_every_slider_keeps_jupyterlab_from_taking_its_arrow_keys():
    """JupyterLab matches its shortcuts from the focused element upwards, so it must be there."""
    figure = playable(draw, {"a": [1, 2], "b": [1, 2]}, alt=describe)
    sliders = [names for tag, names in Elements(figure._repr_html_()).found if tag == "input"]
    assert len(sliders) == 2
    assert all(names["data-lm-suppress-shortcuts"] == "true" for names in sliders)
