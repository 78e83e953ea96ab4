"""Kinds of values: what settings take, what they refuse and in which words, and texts of them."""

from dataclasses import asdict, fields, replace
from typing import Annotated, Literal

import numpy as np
import pytest
import torch

from course_lib.algorithms import ALGORITHMS
from course_lib.algorithms.npg import NPGSettings
from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.presets import PRESETS
from course_lib.algorithms.settings import Settings, changed
from course_lib.algorithms.trpo import TRPOSettings
from course_lib.kinds import Count, Positive, Range, Share, checked, literal, read

TYPES = [kind for kind, _ in ALGORITHMS.values()]
NUMBERS = [(t, f.name) for t in TYPES for f in fields(t) if type(f.default) in (int, float)]
NUMBERS += [(t, f.name) for t in TYPES for f in fields(t) if f.default is None]
SWITCHES = [(t, f.name) for t in TYPES for f in fields(t) if isinstance(f.default, bool)]


@pytest.mark.parametrize(("settings", "name"), NUMBERS)
def test_every_number_refuses_what_is_none(settings, name):
    for wrong in (float("nan"), float("inf"), -np.inf, "0.5", True, 1j, [0.5], lambda left: left):
        with pytest.raises(ValueError, match=f"^{name} must be "):
            settings(**{name: wrong})


@pytest.mark.parametrize(("settings", "name"), SWITCHES)
def test_every_switch_refuses_words_and_numbers(settings, name):
    for wrong in ("False", "no", "", 0, 1.0, None, [False]):
        with pytest.raises(ValueError, match=f"^{name} must be True or False, not "):
            settings(**{name: wrong})
    for right in (False, np.False_, np.array(False)):
        assert getattr(settings(**{name: right}), name) is False


@pytest.mark.parametrize("settings", TYPES)
@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("horizon", 16.0, "an integer, not 16.0"),
        ("n_envs", 2.5, "an integer"),
        ("n_envs", 0, "at least 1"),
        ("hidden", 64, r"a tuple of integers, such as \(64, 64\), not 64: write \(64,\)"),
        ("hidden", "64", "a tuple of integers"),
        ("hidden", (64, 0), "at least 1"),
        ("hidden", (64.5,), "an integer"),
        ("gamma", 1.01, r"lie in \[0, 1\]"),
        ("gae_lambda", -0.1, r"lie in \[0, 1\]"),
        ("learning_rate", 0.0, "be positive"),
        ("learning_rate", 10**400, "be finite"),
        ("initial_log_std", 1e3, r"lie in \[-20, 20\]"),
        ("activation", "tanhh", r"did you mean tanh\?"),
        ("activation", np.array(["tanh"]), "'tanh' or 'relu'"),
    ],
)
def test_shared_settings_say_what_they_take(settings, name, wrong, words):
    with pytest.raises(ValueError, match=rf"^{name}(\[\d\])? must .*{words}"):
        settings(**{name: wrong})


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (TRPOSettings, {"damping": -1}),
        (TRPOSettings, {"backtrack_factor": 2}),
        (TRPOSettings, {"backtrack_factor": 1.0}),
        (TRPOSettings, {"backtrack_factor": 0}),
        (TRPOSettings, {"accept_ratio": 2}),
        (TRPOSettings, {"accept_ratio": -0.1}),
        (TRPOSettings, {"cg_tolerance": -1e-9}),
        (TRPOSettings, {"backtrack_steps": 2.0}),
        (NPGSettings, {"damping": -1e-9}),
        (NPGSettings, {"step_size": 0.0}),
        (PPOSettings, {"minibatch_size": 16.0}),
        (PPOSettings, {"epochs": 1.0}),
        (PPOSettings, {"value_coef": -0.5}),
    ],
)
def test_own_settings_have_ranges(settings, wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must "):
        settings(**wrong)


def test_scalars_of_other_libraries_are_stored_as_pythons():
    settings = PPOSettings(
        n_envs=np.int64(4),
        gamma=np.float32(0.5),
        learning_rate=torch.tensor(0.25),
        entropy_coef=np.array(-1),
        max_kl=np.longdouble(0.5),
        hidden=np.array([8, 16]),
        activation=np.str_("relu"),
        reward_factor=2,
    )
    assert settings == PPOSettings(
        n_envs=4,
        gamma=0.5,
        learning_rate=0.25,
        entropy_coef=-1.0,
        max_kl=0.5,
        hidden=(8, 16),
        activation="relu",
        reward_factor=2.0,
    )
    plain = {int, float, bool, str, tuple, type(None)}
    assert {type(x) for x in asdict(settings).values()} <= plain
    assert {type(x) for x in settings.hidden} == {int}
    assert type(settings.reward_factor) is float
    assert hash(replace(settings, hidden=[8, 16])) == hash(settings)


def test_defaults_and_presets_are_as_they_were_declared():
    for settings in (*(kind() for kind in TYPES), *PRESETS.values()):
        again = type(settings)(**asdict(settings))
        assert again == settings
        for f in fields(settings):
            if f.default is not None and not isinstance(f.default, tuple):
                assert type(getattr(settings, f.name)) in (type(f.default), type(None))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (".9", float, 0.9),
        ("1", float, 1.0),
        ("1e5", Count, 100_000),
        ("100_000", Count, 100_000),
        (" None ", Positive | None, None),
        ("none", Positive | None, None),
        ("(32, 16)", tuple[Count, ...], (32, 16)),
        ("32,16", tuple[Count, ...], (32, 16)),
        ("[8]", tuple[Count, ...], (8,)),
        ("()", tuple[Count, ...], ()),
        ("relu", Literal["tanh", "relu"], "relu"),
        ("'relu'", Literal["tanh", "relu"], "relu"),
        ("false", bool, False),
        ("True", bool, True),
        ("12", str, "12"),
    ],
)
def test_texts_are_read_by_kind(text, kind, value):
    result = read("x", text, kind)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("16.0", Count),
        ("1.5e0", Count),
        ("0", Count),
        ("nan", float),
        ("inf", float),
        ("1e999", float),
        ("", float),
        ("high", float),
        ("1", bool),
        ("no", bool),
        ("('a',)", tuple[Count, ...]),
        ("(64.5,)", tuple[Count, ...]),
        ("64", tuple[Count, ...]),
        ("(" * 500, tuple[Count, ...]),
        ("none", Share),
        ("__import__('os')", float),
        ("{[]: 1}", float),
    ],
)
def test_texts_of_another_kind_are_refused_by_name(text, kind):
    with pytest.raises(ValueError, match=r"^width(\[0\])? must "):
        read("width", text, kind)


@pytest.mark.parametrize("text", ["word", "{[]: 1}", "f(x)", " ", "(" * 500])
def test_what_python_does_not_write_is_a_word(text):
    assert literal(text) == text


def test_changes_are_values_or_their_texts_and_a_typo_names_the_nearest():
    settings = changed(PPOSettings(), {"gamma": ".9", "hidden": "(8,)", "epochs": 4})
    assert settings == PPOSettings(gamma=0.9, hidden=(8,), epochs=4)
    with pytest.raises(ValueError, match=r"no 'gama' \(did you mean gamma\?\); there are: n_envs"):
        changed(PPOSettings(), {"gama": "0.9"})
    with pytest.raises(ValueError, match=r"^gamma must lie in \[0, 1\], not 1\.5"):
        changed(PPOSettings(), {"gamma": "1.5"})
    with pytest.raises(ValueError, match="max_kl must be a number or None, not 'small'"):
        changed(PPOSettings(), {"max_kl": "small"})


def test_open_ends_do_not_belong_to_a_range():
    kind = Annotated[float, Range(0, 1, low_open=True)]
    assert checked("x", 1, kind) == 1.0
    with pytest.raises(ValueError, match=r"x must lie in \(0, 1\], not 0"):
        checked("x", 0, kind)


def test_a_plain_type_of_settings_of_ones_own_is_checked_too():
    class Own(Settings):
        pass

    assert Own(gamma=np.float64(0.5)).gamma == 0.5
