"""Films of learning: three agents from one start, small enough, made once, and a page that tells the truth."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from book import films_page
from book.films import PAGE
from course_lib.algorithms import ALGORITHMS
from course_lib.algorithms.presets import preset
from course_lib.show import films, side_by_side
from course_lib.show.films import TASKS, Shot, is_made, make_film, make_films
from course_lib.show.outcomes import SUCCESS, outcome_of
from course_lib.show.render import record_episode
from course_lib.show.side_by_side import GAP, HEAD, LARGEST, PANEL, compose, encode_panels
from course_lib.training.train import train

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "films"
SMALL = Shot("cartpole", "ppo", 6144)


def panels(frame):
    """The three pictures of a frame, without words and edges."""
    picture = np.asarray(frame.convert("RGB") if isinstance(frame, Image.Image) else frame)
    lefts = [i * (PANEL + GAP) for i in range(3)]
    assert picture.shape[1] == lefts[-1] + PANEL
    return [picture[HEAD + 1 : -1, left + 1 : left + PANEL - 1] for left in lefts]


def words(frame):
    """What is not blank of the line that says a return, panel by panel."""
    picture = np.asarray(frame)
    return [bool((picture[24:HEAD, i * (PANEL + GAP) :][:, :PANEL] < 128).any()) for i in range(3)]


# One film ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder and the record of a film of three updates."""
    folder = tmp_path_factory.mktemp("films")
    return folder, make_film(SMALL, folder)


def test_a_film_shows_the_agents_before_half_way_and_after_from_the_same_start(made):
    _, record = made
    agents = {}
    train(
        "CartPole-v1",
        preset("ppo", "CartPole-v1"),
        6144,
        seed=0,
        progress=False,
        callback=lambda step, agent: agents.update(
            {step: record_episode(agent, "CartPole-v1", seed=0, deterministic=True)[1]}
        ),
    )
    assert list(agents) == [0, 2048, 4096, 6144]
    shown = [(m["step"], m["starts"][0]["return"]) for m in record["moments"]]
    assert shown == [(step, agents[step]) for step in (0, 4096, 6144)]
    assert len({value for _, value in shown}) == 3  # so that a wrong order would be seen


def test_a_film_begins_with_three_equal_panels_and_ends_with_its_still(made):
    folder, record = made
    with Image.open(folder / "cartpole-ppo.gif") as gif:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]
    first, *others = panels(frames[0])
    assert (first < 128).any()  # there is a cart
    assert all(np.array_equal(first, other) for other in others)
    last = panels(frames[-1])
    assert not np.array_equal(last[0], last[2])
    with Image.open(folder / "cartpole-ppo.png") as picture:
        still = panels(picture.convert("RGB"))
    for shown, kept in zip(last, still, strict=True):  # but for their palettes
        assert np.abs(shown.astype(int) - kept).mean() < 1
    assert not np.array_equal(still[0], still[2])
    assert record["frames_per_second"] == 25


def test_the_record_holds_all_starts_and_their_mean(made):
    folder, record = made
    assert json.loads((folder / "cartpole-ppo.json").read_text()) == record
    assert record["bytes"] == (folder / "cartpole-ppo.gif").stat().st_size
    for moment in record["moments"]:
        assert [start["seed"] for start in moment["starts"]] == list(range(20))
        assert len({start["return"] for start in moment["starts"]}) > 1
        mean = sum(start["return"] for start in moment["starts"]) / 20
        assert moment["mean_return"] == pytest.approx(mean, abs=0.005)
        for start in moment["starts"]:  # CartPole pays 1 a step
            assert start["return"] == start["steps"]
    assert record["job"]["settings"]["learning_rate"] == preset("ppo", "CartPole-v1").learning_rate
    assert record["made"]["course_lib"]


# Panels ------------------------------------------------------------------------------------------


def grey(values):
    """A film of plain frames."""
    return [np.full((40, PANEL, 3), value, np.uint8) for value in values]


def test_a_film_that_has_ended_holds_its_last_frame_and_says_its_return():
    frames = compose(
        [grey([10, 20]), grey([10, 20, 30, 40, 50, 60]), grey([10, 20, 30, 40])],
        2,
        ["before", "half", "all"],
        ["return 1", "return 5", "return 3"],
    )
    seen = [[int(panel[0, 0, 0]) for panel in panels(frame)] for frame in frames]
    assert seen == [[10, 10, 10], [20, 30, 30], [20, 50, 40], [20, 60, 40]]
    ended = [words(frame) for frame in frames]
    assert ended == [[False] * 3, [True, False, False], [True, False, True], [True] * 3]


def noise(n):
    """A film that no format makes small."""
    rng = np.random.default_rng(0)
    return [rng.choice(np.uint8([0, 80, 160, 255]), (12, PANEL, 3)) for _ in range(n)]


def test_frames_are_left_out_until_a_film_is_small_enough(monkeypatch):
    shown = [noise(41)] * 3, 50.0, ["before", "half", "all"], ["a", "b", "c"]
    large, _, rate = encode_panels(*shown)
    assert rate == 25
    monkeypatch.setattr(side_by_side, "LARGEST", len(large) // 2)
    small, _, slower = encode_panels(*shown)
    assert len(small) <= len(large) // 2
    assert slower < 25
    for encoded, fps in (
        (large, 25),
        (small, slower),
    ):  # as long as the episode, and the end stands
        with Image.open(io.BytesIO(encoded)) as gif:
            frames = [(f.info["duration"], f.convert("RGB")) for f in ImageSequence.Iterator(gif)]
        assert sum(duration for duration, _ in frames) == pytest.approx(2800, abs=1000 / fps)
        assert frames[-1][0] == 2000
        assert len({tuple(map(bytes, panels(f))) for _, f in frames}) == len(frames)
    monkeypatch.setattr(side_by_side, "LARGEST", 1000)
    with pytest.raises(ValueError, match="41 frames of this size"):
        encode_panels(*shown)


# Outcomes ----------------------------------------------------------------------------------------

CART, POLE, LANDER = SUCCESS
TURNED = [-1.0] * 100 + [0.95] * 99


@pytest.mark.parametrize(
    ("env", "rewards", "terminated", "last", "outcome"),
    [
        (CART, [1.0] * 500, False, [2.3, 0, 0.2, 0], "balances the pole"),
        (CART, [1.0] * 499, True, [0, 0, -0.22, 0], "lets the pole fall"),
        (CART, [1.0] * 20, True, [-2.5, 0, 0.1, 0], "drives off the track"),
        (POLE, [*TURNED, 0.91], False, [0] * 5, "swings the pole up and holds it"),
        (POLE, [*TURNED, 0.89], False, [0] * 5, "does not have the pole upright at the end"),
        (
            POLE,
            [-1.0, 0.89, *TURNED[100:]],
            False,
            [0] * 5,
            "does not have the pole upright at the end",
        ),
        (POLE, [0.95] * 99, False, [0] * 5, "does not have the pole upright at the end"),
        (POLE, [-1.0] * 500, False, [0] * 5, "never lifts the pole above the cart"),
        (POLE, [*TURNED, 0.95], True, [2.41, 0, 1, 0, 0], "drives into the end of the track"),
        (LANDER, [-1.0, 100.0], True, [0.1] * 8, "lands"),
        (LANDER, [1.0, -100.0], True, [0.1] * 8, "crashes"),
        (LANDER, [1.0, -100.0], True, [-1.0] * 8, "flies out of sight"),
        (LANDER, [100.0] * 1000, False, [0.1] * 8, "is not at rest when its time is up"),
    ],
)
def test_an_episode_is_called_what_it_was(env, rewards, terminated, last, outcome):
    assert outcome_of(env, rewards, terminated, last) == outcome


def test_an_unknown_environment_has_no_outcomes():
    with pytest.raises(ValueError, match="not for 'Acrobot-v1'"):
        outcome_of("Acrobot-v1", [1.0], True, [0.0])


# Many films --------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch):
    """The algorithms that were trained, in order; few starts, for they are not the point."""
    algorithms = []

    def counted(env_id, settings, *others, **options):
        algorithms.append(type(settings).__name__)
        return train(env_id, settings, *others, **options)

    monkeypatch.setattr(films, "train", counted)
    monkeypatch.setattr(films, "STARTS", 2)
    return algorithms


def test_a_killed_run_goes_on_with_what_is_missing(tmp_path, trained, monkeypatch):
    shots = [Shot("cartpole", "a2c", 512), Shot("cartpole", "ppo", 2048)]
    write = films.write_atomically

    def killed(path, data):
        if path.name == "cartpole-ppo.json":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(films, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        make_films(shots, tmp_path)
    assert [is_made(shot, tmp_path) for shot in shots] == [True, False]
    monkeypatch.setattr(films, "write_atomically", write)
    make_films(shots, tmp_path)
    assert trained == ["A2CSettings", "PPOSettings", "PPOSettings"]
    make_films(shots, tmp_path)
    assert len(trained) == 3
    (tmp_path / "cartpole-a2c.gif").unlink()
    make_films(shots, tmp_path)
    assert trained[3:] == ["A2CSettings"]
    assert {file.suffix for file in tmp_path.iterdir()} == {".gif", ".png", ".json"}


def test_a_film_with_other_settings_is_not_taken_for_this_one(tmp_path, trained):
    make_films([Shot("cartpole", "a2c", 512)], tmp_path)
    with pytest.raises(ValueError, match="another steps, seed"):
        is_made(Shot("cartpole", "a2c", 1024, seed=1), tmp_path)


def test_the_command_line_chooses(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(films, "make_films", lambda shots, folder: asked.extend(shots))
    films.main([str(tmp_path), "--tasks", "lander", "--algorithms", "ppo", "a2c"])
    task = "lander"
    assert asked == [Shot(task, "ppo", 1_000_000), Shot(task, "a2c", 1_000_000)]
    asked.clear()
    films.main([str(tmp_path)])
    assert [shot.task for shot in asked] == [task for task in TASKS for _ in ALGORITHMS]
    assert {shot.algorithm for shot in asked} == set(ALGORITHMS)
    assert {(shot.task, shot.steps) for shot in asked} == {
        ("cartpole", 200_000),
        ("swingup", 1_000_000),
        ("lander", 1_000_000),
    }


# The page ----------------------------------------------------------------------------------------


def record_of(half, end, task="lander"):
    """A record whose half-trained and trained agents did this, from as many starts."""

    def moment(step, outcomes):
        starts = [
            {"seed": i, "return": -1.6 - i, "steps": 9, "outcome": outcome}
            for i, outcome in enumerate(outcomes)
        ]
        return {"step": step, "mean_return": -2.4, "starts": starts}

    job = {"task": task, "algorithm": "ppo_penalty", "env_id": TASKS[task][0], "steps": 1000}
    moments = [moment(0, ["crashes"] * 3), moment(500, half), moment(1024, end)]
    return {"job": job, "moments": moments, "bytes": 5, "made": {"cpu_seconds": 90.0}}


@pytest.mark.parametrize(
    ("half", "end", "said"),
    [
        (
            ["lands", "lands", "crashes"],
            ["lands"] * 3,
            "**Works:** after 1,024 steps it lands from all 3 starts; half way, after 500 steps, it "
            "lands from 2.",
        ),
        (
            ["crashes"] * 3,
            ["lands", "crashes", "lands"],
            "**Not reliable:** after 1,024 steps it lands from 2 starts and crashes from 1 start; half "
            "way, after 500 steps, it lands from 0.",
        ),
        (
            ["crashes"] * 3,
            ["crashes", "flies out of sight", "crashes"],
            "**Fails:** after 1,024 steps it crashes from 2 starts and flies out of sight from 1 start.",
        ),
        (
            ["lands", "crashes", "crashes"],
            ["crashes"] * 3,
            "**Fails:** after 1,024 steps it crashes from all 3 starts; half way, after 500 steps, it "
            "lands from 1.",
        ),
    ],
)
def test_the_sentence_counts_the_starts(half, end, said):
    assert films_page.sentence(record_of(half, end)) == said


def test_the_page_is_made_from_the_records_that_are_there(tmp_path):
    folder = tmp_path / "results" / "films"
    folder.mkdir(parents=True)
    record = record_of(["crashes"] * 3, ["lands"] * 3)
    (folder / "lander-ppo-penalty.json").write_text(json.dumps(record))
    Image.new("P", (676, 197)).save(folder / "lander-ppo-penalty.gif")
    text = films_page.page(tmp_path)
    assert "1 of 18 films are there so far" in text
    assert "## LunarLander" in text
    assert "## Swing-up" not in text
    assert films_page.sentence(record) in text
    assert text.count("<figure") == 1
    assert 'width="676" height="197" loading="lazy"' in text
    assert (
        'alt="PPO-penalty on LunarLander, three panels from the same start: before training it '
        "crashes, with a return of \N{MINUS SIGN}2 in 9 steps; after 500 steps it crashes, with a "
        "return of \N{MINUS SIGN}2 in 9 steps; after 1,024 steps it lands, with a return of "
        '\N{MINUS SIGN}2 in 9 steps."' in text
    )
    table = films_page.readme(tmp_path)
    assert "| 1,024 | -2.4 | -2.4 | -2.4 | lands (3) | 0 | 90 |" in table


# What is committed -------------------------------------------------------------------------------

ALL = [Shot(task, algorithm, TASKS[task][1]) for task in TASKS for algorithm in ALGORITHMS]
SHOTS = [shot for shot in ALL if (FOLDER / f"{shot.name}.json").is_file()]


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_committed_film_is_of_the_preset_and_shows_one_start_three_times(shot):
    assert is_made(shot, FOLDER)
    record = json.loads((FOLDER / f"{shot.name}.json").read_text())
    gif = FOLDER / f"{shot.name}.gif"
    assert gif.stat().st_size == record["bytes"] <= LARGEST
    with Image.open(gif) as film:
        first, *others = panels(film)
    assert all(np.array_equal(first, other) for other in others)
    steps = [moment["step"] for moment in record["moments"]]
    assert steps[0] == 0
    assert 0 <= steps[1] - shot.steps / 2 < 9000  # at most a rollout later
    assert 0 <= steps[2] - shot.steps < 9000


def test_the_page_shows_all_films_that_are_there_and_would_weigh_less_than_four_megabytes():
    text = (ROOT / PAGE).read_text()
    shown = re.findall(r'<img src="_static/films/([\w-]+)\.gif"[^>]* loading="lazy"', text)
    assert shown == [shot.name for shot in SHOTS]
    assert text.count('<button type="button"') == len(SHOTS)
    files = [FOLDER / f"{name}{suffix}" for name in shown for suffix in (".gif", ".png")]
    weight = len(text.encode()) + sum(file.stat().st_size for file in files)
    missing = len(ALL) - len(SHOTS)
    assert weight + missing * (LARGEST + 5000) < 3_900_000
    assert ("films are there so far" in text) == bool(missing)
