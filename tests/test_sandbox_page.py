"""The sandbox page in a browser: physics, policies and KL against the library; then its controls."""

import re
import shutil
import time
from itertools import product
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from book.build import run_jupyter_book
from book.sandbox_page import COMPARED, NOTES, SHOWN, read_runs, read_weights
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.experience.envs import make_envs
from course_lib.policies import make_policy
from tests.test_book import CONTRAST

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "sandbox"
RUNS = read_runs(FOLDER)
KEPT = [(name, c["step"]) for name, run in RUNS.items() for c in run["checkpoints"]]
ENV_IDS = ["CartPoleSwingUp-v0", "CartPole-v1"]


# The page ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page, built by Jupyter Book as a book of its own; its links need other pages, so go."""
    pytest.importorskip("jupyter_book")
    root = tmp_path_factory.mktemp("sandbox")
    shutil.copy(ROOT / "_config.yml", root)
    for folder in ("book", "results"):
        (root / folder).symlink_to(ROOT / folder)
    text = re.sub(r"\[([^]\n]+)\]\([^)\n]+\)", r"\1", (ROOT / "sandbox.md").read_text())
    (root / "sandbox.md").write_text(text)
    (root / "_toc.yml").write_text("format: jb-book\nroot: sandbox\n")
    (root / "_build").mkdir()
    run_jupyter_book(root)
    return root / "_build" / "html" / "sandbox.html"


@pytest.fixture
def visit(chromium, file):
    """Open the page at a width, in light or dark mode; paused, as with reduced motion, or playing."""

    def open_page(width=1280, scheme="light", motion="reduce"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        media = [{"name": name, "value": value} for name, value in features.items()]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        chromium.get(file.as_uri())
        return chromium

    yield open_page
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def browser(visit):
    """The page, paused."""
    return visit()


def part(browser, name):
    """One of the page's controls or texts."""
    return browser.find_element("css selector", f"[data-is={name}]")


def number(browser, name):
    """The first number in one of the page's texts."""
    text = part(browser, name).text.replace("\N{MINUS SIGN}", "-")
    return float(re.search(r"-?[\d.]+(e-?\d+)?", text)[0])


def choose(browser, name, index):
    """Choose an entry of one of the page's menus."""
    from selenium.webdriver.support.ui import Select

    Select(part(browser, name)).select_by_index(index)


# Physics -------------------------------------------------------------------------------------

ROLLOUT = """
const [id, start, actions] = arguments;
const episode = new sandbox.Episode(sandbox.tasks[id], start);
return actions.map(action => {
  const before = episode.return;
  episode.advance(action);
  return {state: episode.state, reward: episode.return - before, terminated: Boolean(episode.failure),
          truncated: episode.truncated, observation: [...episode.task.observe(episode.state)]};
});
"""


def library_policy(name, step):
    """A policy as the library makes it, with the kept weights."""
    run = RUNS[name]
    env = make_envs(run["env"], 1)
    settings = dict(hidden=run["settings"]["hidden"], activation=run["activation"])
    generator = torch.Generator().manual_seed(0)
    policy = make_policy(
        env.single_observation_space, env.single_action_space, generator, **settings
    )
    weights = {k: torch.tensor(x) for k, x in read_weights(FOLDER, name, step).items()}
    policy.load_state_dict(weights)
    return policy


def recorded(env_id, act, seed):
    """An episode of the scalar environment: start, actions, and what each step returned."""
    env = gym.make(gym.spec(env_id))
    observation, _ = env.reset(seed=seed)
    start, actions, steps = np.array(env.unwrapped.state), [], []
    ended = False
    while not ended:
        action = act(observation[None])[0]
        observation, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        actions.append(np.ravel(action).tolist()[0])
        steps.append((np.array(env.unwrapped.state), reward, terminated, truncated, observation))
    return start, actions, steps


def at_random(env_id):
    """Actions that keep a swing-up episode going for its 500 steps, and a CartPole's for some."""
    rng = np.random.default_rng(5)
    if env_id == "CartPole-v1":
        return lambda _: rng.integers(0, 2, 1)
    return lambda _: rng.normal(0, 0.4, (1, 1)).astype(np.float32)


def drivers():
    """Environment and who acts: at random, and each kept policy, with and without its noise."""
    return [(env_id, "at random", None) for env_id in ENV_IDS] + [
        (RUNS[name]["env"], name, step) for name, step in KEPT
    ]


@pytest.mark.parametrize(("env_id", "name", "step"), drivers())
def test_episodes_are_the_librarys_to_the_last_step(browser, env_id, name, step):
    """With the recorded actions nothing corrects a deviation, and an upright pole multiplies it."""
    if step is None:
        acting = [at_random(env_id)] * 4
    else:
        policy = library_policy(name, step)
        acting = [policy.greedy(), policy.sampler(np.random.default_rng(2))]
    for seed, act in enumerate(acting):
        start, actions, steps = recorded(env_id, act, seed)
        found = browser.execute_script(ROLLOUT, env_id, start.tolist(), actions)
        expected = dict(
            zip(
                ["state", "reward", "terminated", "truncated", "observation"],
                map(list, zip(*steps, strict=True)),
                strict=True,
            )
        )
        for key in ("terminated", "truncated"):
            assert [x[key] for x in found] == expected[key]
        for key in ("state", "reward", "observation"):
            ours = np.array([x[key] for x in found])
            np.testing.assert_allclose(ours, np.array(expected[key]), rtol=0, atol=1e-6)


def test_the_readers_push_is_a_force_on_top_of_the_policys(browser):
    script = "const [id, ...rest] = arguments; return sandbox.tasks[id].step(...rest).state;"
    state = [0.3, -0.7, 2.1, 1.5]
    for action, push in ((0.25, 5.0), (-0.5, 2.5), (0.0, -10.0)):
        pushed = browser.execute_script(script, "CartPoleSwingUp-v0", state, action, push)
        moved = browser.execute_script(script, "CartPoleSwingUp-v0", state, action + push / 10, 0)
        np.testing.assert_allclose(pushed, moved, rtol=0, atol=1e-12)
    # On CartPole's two actions: a push of 20 N turns the one into the other.
    pushed = browser.execute_script(script, "CartPole-v1", state, 0, 20)
    assert pushed == browser.execute_script(script, "CartPole-v1", state, 1, 0)


def test_episodes_start_like_the_librarys(browser):
    script = """
        let k = 0;
        const random = () => arguments[1][k++], reset = sandbox.tasks[arguments[0]].reset;
        return Array.from({length: 5000}, () => reset(random));
    """
    uniform = np.random.default_rng(0).random(40_000).tolist()
    states = np.array(browser.execute_script(script, "CartPoleSwingUp-v0", uniform))
    np.testing.assert_array_equal(states, states.astype(np.float32))  # rounded, as there
    # Six standard errors: 0.2 / sqrt(5000) of the mean, that over sqrt(2) of the deviation.
    np.testing.assert_allclose(states.mean(0), [0, 0, np.pi, 0], atol=0.017)
    np.testing.assert_allclose(states.std(0), 0.2, atol=0.012)
    assert np.abs(np.corrcoef(states.T) - np.eye(4)).max() < 6 / np.sqrt(5000)
    states = np.array(browser.execute_script(script, "CartPole-v1", uniform))
    np.testing.assert_allclose(states.ravel(), 0.1 * np.array(uniform[:20_000]) - 0.05, atol=1e-15)


# Policies ------------------------------------------------------------------------------------


def observations_of(env_id, n=100):
    """Observations of all kinds: a few of them near the start, most of them far from it."""
    rng = np.random.default_rng(3)
    x, v, spin = rng.normal(0, 1, n), rng.normal(0, 2, n), rng.normal(0, 4, n)
    angle = rng.uniform(-np.pi, np.pi, n)
    if env_id == "CartPole-v1":
        return np.stack((x, v, angle / 15, spin / 4), 1).astype(np.float32)
    return np.stack((x, v, np.cos(angle), np.sin(angle), spin), 1).astype(np.float32)


def in_page(browser, body, *arguments):
    """Run a function body in the page, on the policies by run and step."""
    keys = "const at = (index, o) => sandbox.distribution(sandbox.policies[index], Float32Array.from(o));"
    return browser.execute_script(keys + body, *arguments)


def indices(browser):
    """Where each kept policy stands in the page's list: run and step, by what the menus say."""
    labels = browser.execute_script("return sandbox.policies.map(p => p.key);")
    return {(name, int(step)): i for i, (name, step) in enumerate(labels)}


def test_the_page_has_every_policy_that_was_kept(browser):
    assert sorted(indices(browser)) == sorted(KEPT)
    assert sorted((name, step) for name in NOTES for step in NOTES[name]) == sorted(KEPT)
    assert set(KEPT) >= SHOWN | COMPARED
    for env_id in ENV_IDS:  # one of each task is shown first, another compared with it
        for chosen in (SHOWN, COMPARED):
            assert [RUNS[name]["env"] for name, _ in chosen].count(env_id) == 1


@pytest.mark.parametrize(("name", "step"), KEPT)
def test_policies_are_the_librarys(browser, name, step):
    observations = observations_of(RUNS[name]["env"])
    index = indices(browser)[name, step]
    body = """
        return arguments[1].map(o => {
          const d = at(arguments[0], o);
          return [sandbox.mostProbable(d), ...(d.logProbs || [d.mean, d.logStd])];
        });
    """
    found = np.array(in_page(browser, body, index, observations.tolist()))
    policy = library_policy(name, step)
    with torch.no_grad():
        expected = policy(torch.from_numpy(observations))
    greedy = policy.greedy()(observations).reshape(len(observations))
    if isinstance(expected, Categorical):
        np.testing.assert_allclose(found[:, 1:], expected.log_probs, rtol=1e-5, atol=1e-5)
        close = np.ptp(expected.logits.numpy(), axis=1) < 1e-4
        np.testing.assert_array_equal(found[~close, 0], greedy[~close])
        assert close.mean() < 0.1
    else:
        np.testing.assert_allclose(found[:, 1:2], expected.mean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[:, 2], expected.log_std.item(), rtol=1e-6)
        np.testing.assert_allclose(found[:, 0], greedy, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_the_kl_of_all_pairs_is_the_librarys(browser, env_id):
    """With the network's outputs computed here and there, and of given ones to the last digits."""
    keys = [key for key in KEPT if RUNS[key[0]]["env"] == env_id]
    observations = observations_of(env_id, 10)
    body = """
        const [is, js, observations] = arguments;
        return is.map((i, k) => observations.map(o => sandbox.kl(at(i, o), at(js[k], o))));
    """
    where, pairs = indices(browser), list(product(keys, keys))
    found = in_page(
        browser,
        body,
        [where[old] for old, _ in pairs],
        [where[new] for _, new in pairs],
        observations.tolist(),
    )
    with torch.no_grad():
        outputs = {key: library_policy(*key)(torch.from_numpy(observations)) for key in keys}
    expected = [outputs[old].kl(outputs[new]).numpy() for old, new in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert np.max(expected) > 1  # far apart


def test_the_kl_is_exact(browser):
    rng = np.random.default_rng(0)
    mean, log_std = rng.normal(0, 2, (2, 50)), rng.normal(0, 1, (2, 50))
    script = "return arguments[0].map(([p, q]) => sandbox.kl(p, q));"
    pairs = [[{"mean": mean[i, k], "logStd": log_std[i, k]} for i in range(2)] for k in range(50)]
    p, q = (
        DiagonalGaussian(torch.tensor(mean[i])[:, None], torch.tensor(log_std[i])[:, None])
        for i in range(2)
    )
    found = browser.execute_script(script, pairs)
    np.testing.assert_allclose(found, p.kl(q), rtol=1e-12)
    logits = rng.normal(0, 3, (2, 50, 2))
    p, q = (Categorical(torch.tensor(x)) for x in logits)
    pairs = [
        [{"logProbs": x} for x in pair]
        for pair in zip(p.log_probs.tolist(), q.log_probs.tolist(), strict=True)
    ]
    np.testing.assert_allclose(browser.execute_script(script, pairs), p.kl(q), rtol=1e-12)


def test_sampled_actions_follow_the_distribution(browser):
    uniform = np.random.default_rng(1).random(20_000).tolist()
    script = """
        let k = 0;
        const random = () => arguments[1][k++];
        return Array.from({length: 10000}, () => sandbox.sample(arguments[0], random));
    """
    actions = browser.execute_script(script, {"mean": 0.7, "logStd": -1.0}, uniform)
    assert np.mean(actions) == pytest.approx(0.7, abs=5 * np.exp(-1) / 100)
    assert np.std(actions) == pytest.approx(np.exp(-1), rel=5 / np.sqrt(20_000))
    for probability in (0.2, 1.0):
        log_probs = [np.log(1 - probability) if probability < 1 else -1e9, np.log(probability)]
        actions = browser.execute_script(script, {"logProbs": log_probs}, uniform)
        assert actions == [int(u >= 1 - probability) for u in uniform[:10_000]]


# What the text of the page says of the policies -------------------------------------------------


def returns(name, step, kind="deterministic"):
    """The measured returns of a kept policy: mean, sd, low and high."""
    (found,) = (c for c in RUNS[name]["checkpoints"] if c["step"] == step)
    return found["returns"][kind]


def leaves_at_once(name, step):
    """Whether no episode hangs on: each step of hanging costs nearly 1, leaving takes about 70."""
    return returns(name, step)["low"] > -70 and returns(name, step)["mean"] < 0


def test_what_the_page_says_of_the_swingup_policies_was_measured():
    name, other = "swingup-ppo-112", "swingup-ppo-115"
    assert returns(name, 0)["mean"] < -450  # hangs
    assert leaves_at_once(name, 32_768)
    assert leaves_at_once(name, 65_536)
    assert 0 < returns(name, 98_304)["mean"] < 100  # has begun
    assert returns(name, 131_072)["mean"] > 300  # holds it,
    assert returns(name, 131_072)["low"] < 200  # though not from every start
    relapse = returns(name, 229_376)["mean"]
    assert relapse < 200 < returns(name, 229_376, "sampled")["mean"]  # its noise hides it
    assert returns(name, 491_520)["mean"] > 345  # from nearly every start
    assert returns(name, 491_520)["sd"] < returns(name, 131_072)["sd"]
    assert all(leaves_at_once(other, step) for run, step in KEPT if run == other)


def test_what_the_page_says_of_the_cartpole_policies_was_measured():
    means, drawn = (
        {step: returns(name, step, kind)["mean"] for name, step in KEPT if name == "cartpole-ppo-0"}
        for kind in ("deterministic", "sampled")
    )
    assert means[6_144] > 200 > 100 > drawn[6_144]
    assert means[10_240] > 1.5 * drawn[10_240]  # by half and more
    assert means[20_480] > 499  # nearly every start
    assert means[40_960] == means[100_352] == drawn[40_960] == drawn[100_352] == 500


def test_the_page_names_policies_that_are_there():
    text = (ROOT / "sandbox.md").read_text()
    named = {int(x.replace(",", "")) for x in re.findall(r"([\d,]+)(?: and [\d,]+)? steps", text)}
    named |= {int(x.replace(",", "")) for x in re.findall(r"and ([\d,]+) steps", text)}
    assert named - {500, 0} <= {step for _, step in KEPT}
    assert len(named) >= 4


def test_what_is_kept_is_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_000_000


def test_the_folders_page_is_made_from_the_records():
    from book.sandbox import readme

    assert (FOLDER / "README.md").read_text() == readme(RUNS)


# Controls ------------------------------------------------------------------------------------


def press_steps(browser, n):
    """Press "One step" n times."""
    browser.execute_script(
        "for (let i = 0; i < arguments[1]; i++) arguments[0].click()", part(browser, "single"), n
    )


@pytest.mark.parametrize("task", [0, 1])
def test_the_return_shown_is_the_sum_of_the_rewards(browser, task):
    choose(browser, "task", task)
    env_id = ENV_IDS[task]
    (key,) = (key for key in SHOWN if RUNS[key[0]]["env"] == env_id)
    env, act = gym.make(gym.spec(env_id)), library_policy(*key).greedy()
    env.reset(seed=0)
    env.unwrapped.state = np.array(browser.execute_script("return sandbox.page.episode.state"))
    observation = np.array(
        browser.execute_script("return [...sandbox.page.task.observe(sandbox.page.episode.state)]"),
        dtype=np.float32,
    )
    total = 0.0
    for step in range(1, 41):
        action = act(observation[None])[0]
        observation, reward, *_ = env.step(action)
        total += reward
        if step in (1, 17, 40):
            press_steps(browser, step - int(number(browser, "step")))
            assert number(browser, "return") == pytest.approx(total, abs=0.006)
            assert part(browser, "step").text == f"{step} of 500"


def test_kl_and_policy_change_with_the_menus_and_the_state_stays(browser):
    press_steps(browser, 30)
    state, before = "return sandbox.page.episode.state", number(browser, "kl")
    kept, texts = browser.execute_script(state), part(browser, "here").text
    choose(browser, "other", 0)
    assert number(browser, "kl") != before
    assert part(browser, "here").text == texts
    choose(browser, "policy", 0)  # the same one twice
    assert part(browser, "kl").text == part(browser, "largest").text == "0 nats"
    assert part(browser, "here").text == part(browser, "there").text != texts
    assert browser.execute_script(state) == kept
    press_steps(browser, 1)
    assert browser.execute_script(state) != kept


def test_kl_shown_is_of_the_state_shown(browser):
    press_steps(browser, 12)
    kls = [number(browser, "kl")]
    largest, mean = number(browser, "largest"), number(browser, "mean")
    script = """
        const {policy, other, task, episode} = sandbox.page, o = task.observe(episode.state);
        return sandbox.kl(sandbox.distribution(policy, o), sandbox.distribution(other, o));
    """
    assert kls[0] == pytest.approx(browser.execute_script(script), rel=5e-3)
    assert mean <= largest
    assert kls[0] <= largest * 1.01


def test_sampled_actions_differ_and_the_most_probable_ones_do_not(browser):
    def five_actions():
        found = set()
        for _ in range(5):
            browser.execute_script(
                "sandbox.page.episode.state = [0, 0, 3, 0]; arguments[0].click()",
                part(browser, "single"),
            )
            found.add(part(browser, "action").text)
        return found

    assert len(five_actions()) == 1
    choose(browser, "sampling", 1)
    assert len(five_actions()) > 1  # not 5: shown to two decimals, two may well look the same


def test_with_reduced_motion_the_page_waits_and_otherwise_it_plays(visit):
    browser = visit()
    first = part(browser, "step").text
    time.sleep(0.4)
    assert part(browser, "step").text == first == "0 of 500"
    assert part(browser, "play").text == "Play"
    browser = visit(motion="no-preference")
    wait_for(browser, lambda: number(browser, "step") > 3)
    assert part(browser, "play").text == "Pause"
    part(browser, "play").click()
    first = part(browser, "step").text
    time.sleep(0.3)
    assert part(browser, "step").text == first


def wait_for(browser, condition):
    """Wait until a condition holds, for half a minute at most."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 30, poll_frequency=0.05).until(lambda _: condition())


def gain(browser):
    """What a step from hanging at rest adds to the cart's speed, beyond what the policy adds."""
    script = """
        const {task, policy, episode} = sandbox.page;
        episode.state = [0, 0, Math.PI, 0];
        const action = sandbox.distribution(policy, task.observe(episode.state)).mean;
        const unpushed = task.step(episode.state, action).state[1];
        arguments[0].click();
        return episode.state[1] - unpushed;
    """
    return browser.execute_script(script, part(browser, "single"))


# 10 N for 0.01 s: 4 f / (4 M - 3 m) with M = 1 and m = 0.5 is 16 m/s^2.
PUSHED = pytest.approx(0.16, abs=1e-9)


@pytest.mark.parametrize(("key", "sign"), [("ARROW_LEFT", -1), ("ARROW_RIGHT", 1)])
def test_the_arrow_keys_push_while_they_are_held(browser, key, sign):
    from selenium.webdriver import ActionChains, Keys

    browser.execute_script("arguments[0].focus()", part(browser, "scene"))
    assert gain(browser) == pytest.approx(0, abs=1e-12)
    ActionChains(browser).key_down(getattr(Keys, key)).perform()
    assert [sign * gain(browser) for _ in range(20)] == [PUSHED] * 20
    ActionChains(browser).key_up(getattr(Keys, key)).perform()
    assert gain(browser) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("name", "sign"), [("left", -1), ("right", 1)])
def test_the_push_buttons_work_by_keyboard_and_by_mouse(browser, name, sign):
    from selenium.webdriver import ActionChains, Keys

    button = part(browser, name)
    button.send_keys(Keys.ENTER)  # a tenth of a second
    assert [sign * gain(browser) for _ in range(10)] == [PUSHED] * 10
    assert gain(browser) == pytest.approx(0, abs=1e-12)
    ActionChains(browser).click_and_hold(button).perform()
    assert [sign * gain(browser) for _ in range(20)] == [PUSHED] * 20
    ActionChains(browser).release(button).perform()
    assert gain(browser) == pytest.approx(0, abs=1e-12)


def test_a_drag_pulls_the_cart_and_the_slider_says_how_strongly(browser):
    from selenium.webdriver import ActionChains, Keys

    stage, slider = part(browser, "stage"), part(browser, "strength")
    reach = stage.size["width"] // 3
    ActionChains(browser).move_to_element_with_offset(stage, -reach, 0).click_and_hold().perform()
    assert -gain(browser) == PUSHED
    ActionChains(browser).move_by_offset(2 * reach, 0).perform()
    assert gain(browser) == PUSHED
    ActionChains(browser).release().perform()
    assert gain(browser) == pytest.approx(0, abs=1e-12)
    slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 4)
    assert part(browser, "newtons").text == "5 N"
    part(browser, "right").send_keys(Keys.ENTER)
    assert gain(browser) == pytest.approx(0.08, abs=1e-9)


def test_everything_works_from_the_keyboard(browser):
    from selenium.webdriver import ActionChains, Keys

    browser.execute_script("document.getElementById('sandbox').scrollIntoView()")
    browser.execute_script("arguments[0].focus()", part(browser, "task"))
    reached = []
    for _ in range(12):
        reached.append(browser.execute_script("return document.activeElement.dataset.is"))
        ActionChains(browser).send_keys(Keys.TAB).perform()
    order = "task policy other sampling scene left play single restart right strength speed again"
    assert reached == order.split()[:12]
    part(browser, "scene").send_keys(Keys.SPACE)
    assert part(browser, "play").text == "Pause"
    part(browser, "play").send_keys(Keys.SPACE)
    assert part(browser, "play").text == "Play"
    part(browser, "restart").send_keys(Keys.ENTER)
    assert part(browser, "step").text == "0 of 500"
    part(browser, "single").send_keys(Keys.ENTER)
    assert part(browser, "step").text == "1 of 500"


def test_every_control_has_a_name(browser):
    script = """
        return [...document.querySelectorAll('#sandbox :is(select, input, button, canvas, [tabindex])')]
            .map(e => (e.labels && e.labels.length ? e.labels[0].textContent : '')
                + (e.getAttribute('aria-label') || '') + (e.tagName === 'BUTTON' ? e.textContent : ''));
    """
    names = browser.execute_script(script)
    assert len(names) == 15
    assert all(name.strip() for name in names)


def test_the_text_says_what_happened_and_seldom(visit):
    browser = visit()
    summary = part(browser, "summary")
    assert "Paused. Step 0, return 0.0" in summary.text
    press_steps(browser, 1)
    assert "Step 1, return" in summary.text
    assert part(browser, "stage").get_attribute("aria-label") == summary.text
    browser.execute_script("sandbox.page.episode.state = [2.39, 9, 0, 0]")
    press_steps(browser, 1)
    assert "The episode ended: the cart left the track." in summary.text
    assert part(browser, "end").text == "Ended: the cart left the track."
    press_steps(browser, 1)  # a new one
    assert part(browser, "step").text == "0 of 500"
    browser = visit(motion="no-preference")
    said = part(browser, "summary").text
    wait_for(browser, lambda: number(browser, "step") > 20)
    assert part(browser, "summary").text == said


def test_the_next_episode_begins_by_itself_if_asked(visit):
    browser = visit(motion="no-preference")
    steps = "return sandbox.page.episode.steps"
    crash = "sandbox.page.episode.state = [2.39, 9, 0, 0]"
    part(browser, "again").click()
    browser.execute_script(crash)
    wait_for(browser, lambda: part(browser, "end").text)
    stopped = browser.execute_script(steps)
    wait_for(browser, lambda: browser.execute_script("return sandbox.page.rest") > 2)
    assert browser.execute_script(steps) == stopped
    part(browser, "again").click()
    wait_for(browser, lambda: not part(browser, "end").text)
    assert browser.execute_script(steps) < stopped + 100


# How it looks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "light"), (390, "dark"), (768, "light"), (1400, "dark")]
)
def test_it_fits_has_contrast_and_logs_no_error(visit, width, scheme):
    browser = visit(width, scheme, motion="no-preference")
    browser.get_log("browser")
    for task in (1, 0):
        choose(browser, "task", task)
        press_steps(browser, 5)
        across = "return document.documentElement.scrollWidth"
        assert browser.execute_script(across) <= width
        assert browser.execute_script(CONTRAST, ".sandbox, .sandbox *") == []
    part(browser, "play").click()
    wait_for(browser, lambda: number(browser, "step") > 20)
    errors = [x["message"] for x in browser.get_log("browser") if x["level"] == "SEVERE"]
    assert errors == []


def test_the_picture_moves_and_follows_the_theme(browser):
    shot = "return arguments[0].toDataURL()"
    stage = part(browser, "stage")
    first = browser.execute_script(shot, stage)
    press_steps(browser, 20)
    moved = browser.execute_script(shot, stage)
    assert moved != first
    dark = "document.documentElement.dataset.theme = 'dark'"
    browser.execute_script(dark)
    wait_for(browser, lambda: browser.execute_script(shot, stage) != moved)
