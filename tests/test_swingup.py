"""CartPoleSwingUp: physics, rewards and ends; scalar against batched; rendering."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from course_lib.experience.envs import (
    BATCHED,
    BatchedSwingUp,
    BatchedSwingUpV1,
    CartPoleSwingUpEnv,
    draw_swingup,
    make_envs,
    swingup_dynamics,
)
from course_lib.experience.envs.swingup import initial_swingup_states, observe_swingup

IDS = ["CartPoleSwingUp-v0", "CartPoleSwingUp-v1"]


def make(env_id, **kwargs):
    # By its spec: Gymnasium would warn that v0 is "out of date", as if v1 were a repaired v0.
    return gym.make(gym.spec(env_id), **kwargs)


def lagrangian_step(state, action):
    """One Euler step from the equations of motion of cart and rod, solved numerically.

    Potential m g (l/2) cos(theta); the centre of the rod is at (x - (l/2) sin, (l/2) cos), and its
    moment of inertia about the centre is m l^2 / 12.
    """
    x, v, theta, omega = state
    g, cart, m, length = 9.82, 0.5, 0.5, 0.6
    half = length / 2
    s, c = np.sin(theta), np.cos(theta)
    mass = [
        [cart + m, -m * half * c],
        [-m * half * c, m * half**2 + m * length**2 / 12],
    ]
    force = 10.0 * float(np.float32(np.clip(action, -1, 1)))
    forces = [force - 0.1 * v - m * half * s * omega**2, m * g * half * s]
    x_acc, theta_acc = np.linalg.solve(mass, forces)
    return np.array(
        [x + 0.01 * v, v + 0.01 * x_acc, theta + 0.01 * omega, omega + 0.01 * theta_acc]
    )


def start(env, state):
    """Put a scalar environment into a state of ours."""
    saved = env.unwrapped.get_state()
    return env.unwrapped.set_state(saved | {"state": np.array(state, dtype=float)})


def put(envs, states):
    """Put the copies of a batched environment into states (4, N) of ours."""
    return envs.set_state(envs.get_state() | {"state": np.array(states, dtype=float)})


# Physics ---------------------------------------------------------------------------------------


def test_one_step_agrees_with_the_equations_of_motion():
    rng = np.random.default_rng(0)
    states, actions = rng.normal(0, 2, (4, 1000)), rng.uniform(-1.5, 1.5, 1000)
    found, _, _ = swingup_dynamics(states, actions)
    expected = np.stack(
        [lagrangian_step(*pair) for pair in zip(states.T, actions, strict=True)], axis=1
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_first_step_after_a_reset():
    env = CartPoleSwingUpEnv()
    for seed in range(50):
        observation, _ = env.reset(seed=seed)
        before = env.state.copy()
        np.testing.assert_array_equal(before, before.astype(np.float32))  # rounded by the reset
        np.testing.assert_array_equal(observation[[0, 1, 4]], before[[0, 1, 3]])
        env.step([0.7])
        np.testing.assert_allclose(env.state, lagrangian_step(before, 0.7), rtol=0, atol=1e-6)


def test_a_whole_rollout():
    env, rng = CartPoleSwingUpEnv(), np.random.default_rng(0)
    env.reset(seed=0)
    expected = env.state.copy()
    for _ in range(500):
        action = rng.uniform(-0.3, 0.3)
        expected = lagrangian_step(expected, action)
        env.step([action])
    np.testing.assert_allclose(env.state, expected, rtol=0, atol=1e-4)


def test_only_the_push_and_the_friction_change_the_energy():
    rng = np.random.default_rng(1)
    state, action = rng.normal(0, 2, (4, 200)), rng.uniform(-1, 1, 200)
    _, v, theta, omega = state
    after, _, _ = swingup_dynamics(state, action)
    v_dot, omega_dot = (after[[1, 3]] - state[[1, 3]]) / 0.01
    g, mass, m, length = 9.82, 1.0, 0.5, 0.6
    sin, cos = np.sin(theta), np.cos(theta)
    # Time derivative of M v^2 / 2 - m l cos v omega / 2 + m l^2 omega^2 / 6 + m g l cos / 2.
    power = mass * v * v_dot + m * length**2 / 3 * omega * omega_dot
    power += m * length / 2 * (sin * omega**2 * v - cos * (v_dot * omega + v * omega_dot))
    power -= m * g * length / 2 * sin * omega
    force = 10.0 * action.astype(np.float32).astype(float) - 0.1 * v
    np.testing.assert_allclose(power, force * v, atol=1e-9)


def test_a_push_to_the_right_tips_the_upright_pole_to_positive_angles():
    state, _, _ = swingup_dynamics(np.zeros((4, 1)), np.ones(1))
    assert state[1, 0] > 0
    assert state[3, 0] > 0


def test_positions_move_with_the_old_velocities():
    state, _, _ = swingup_dynamics(np.array([[0.0], [1.0], [0.0], [2.0]]), np.ones(1))
    assert (state[0, 0], state[2, 0]) == (0.01, 0.02)


def test_actions_are_rounded_to_float32_and_clipped():
    state = np.zeros((4, 1))
    one, _, _ = swingup_dynamics(state, np.array([0.1]))
    same, _, _ = swingup_dynamics(state, np.array([0.1], dtype=np.float32))
    np.testing.assert_array_equal(one, same)
    full, _, _ = swingup_dynamics(state, np.array([1.0]))
    more, _, _ = swingup_dynamics(state, np.array([7.0]))
    np.testing.assert_array_equal(full, more)


def test_dynamics_leave_their_arguments_alone():
    state, actions = np.ones((4, 2)), np.array([3.0, -3.0])
    swingup_dynamics(state, actions)
    np.testing.assert_array_equal(state, 1.0)
    np.testing.assert_array_equal(actions, [3.0, -3.0])


# Rewards and ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "low"), [("CartPoleSwingUp-v0", -1.0), ("CartPoleSwingUp-v1", 0.0)]
)
def test_the_reward_is_the_height_after_the_step(env_id, low):
    env = make(env_id)
    env.reset(seed=0)
    for angle, speed in ((0.0, 0.0), (np.pi, 0.0), (1.0, 5.0), (-2.0, 9.0)):
        start(env, [0, 0, angle, speed])
        reward = env.step(np.zeros(1, np.float32))[1]
        height = float(np.cos(np.float32(angle + 0.01 * speed)))  # in float32
        assert reward == (height if low < 0 else (1 + height) / 2)
        assert low <= reward <= 1.0


@pytest.mark.parametrize("side", [-1, 1])
def test_leaving_the_track_ends_the_episode_and_the_angle_does_not(side):
    env = CartPoleSwingUpEnv()
    env.reset(seed=0)
    start(env, [side * 2.39, side * 0.9, 100.0, 0.0])
    assert env.step([0.0])[2] is False  # |x| = 2.399
    start(env, [side * 2.39, side * 1.1, 0.0, 0.0])
    _, reward, terminated, truncated, _ = env.step([0.0])  # |x| = 2.401
    assert terminated is True
    assert truncated is False
    assert reward == 1.0  # no penalty


def test_the_angle_is_not_wrapped():
    env = CartPoleSwingUpEnv()
    env.reset(seed=0)
    start(env, [0.0, 0.0, 4.0, 30.0])
    env.step([0.0])
    assert env.state[2] == pytest.approx(4.3)


@pytest.mark.parametrize("env_id", IDS)
def test_the_time_limit_is_500_steps(env_id):
    env = make(env_id)
    env.reset(seed=0)
    ends = [env.step(np.zeros(1, np.float32))[2:4] for _ in range(500)]
    assert ends[:499] == [(False, False)] * 499
    assert ends[499] == (False, True)


def test_initial_states_hang_with_spread_a_fifth():
    states = initial_swingup_states(np.random.default_rng(0), 20000)
    # Six standard errors: 0.2 / sqrt(20000) of the mean, that over sqrt(2) of the deviation.
    np.testing.assert_allclose(states.mean(axis=1), [0, 0, np.pi, 0], atol=0.0085)
    np.testing.assert_allclose(states.std(axis=1), 0.2, atol=0.006)
    assert np.abs(np.corrcoef(states) - np.eye(4)).max() < 0.05


@pytest.mark.parametrize(
    (
        "low",
        "high",
        "expected",
        "margin",
    ),  # margins: four standard errors of the package's measurement
    [(0, 0, -491, 10), (-1, 1, -376, 36), (1, 1, -28.5, 6.5)],
)
def test_simple_policies_earn_what_they_earn_in_the_package(low, high, expected, margin):
    n, rng = 300, np.random.default_rng(1)
    envs = BatchedSwingUp(n, autoreset_mode=AutoresetMode.NEXT_STEP)
    envs.reset(seed=0)
    running, total = np.ones(n, dtype=bool), np.zeros(n)
    for _ in range(500):
        _, rewards, terminated, truncated, _ = envs.step(rng.uniform(low, high, (n, 1)))
        total += rewards * running
        running &= ~(terminated | truncated)
    assert total.mean() == pytest.approx(expected, abs=margin)


# Gymnasium -------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_checks_pass(env_id):
    check_env(make(env_id, render_mode="rgb_array").unwrapped, skip_render_check=False)


def test_gymnasium_makes_it_by_its_name_once_the_package_is_named():
    code = "import gymnasium as gym; env = gym.make('course_lib.registration:CartPoleSwingUp-v0'); "
    code += "gym.make('CartPoleSwingUp-v1'); print(env.reset(seed=0)[0].shape, env.spec.max_episode_steps)"
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("(5,) 500\n", "")


def test_spaces():
    env = CartPoleSwingUpEnv()
    largest = np.finfo(np.float32).max
    assert env.action_space == gym.spaces.Box(-1, 1, (1,), np.float32)
    assert env.observation_space == gym.spaces.Box(-largest, largest, (5,), np.float32)


def test_two_copies_do_not_share_a_random_generator():
    one, two = CartPoleSwingUpEnv(), CartPoleSwingUpEnv()
    one.action_space.seed(0)
    two.action_space.seed(1)
    first = one.action_space.sample()
    two.action_space.seed(0)
    assert two.action_space.sample() == first


def test_a_bare_number_is_an_action_too():
    one, two = CartPoleSwingUpEnv(), CartPoleSwingUpEnv()
    one.reset(seed=0), two.reset(seed=0)
    np.testing.assert_array_equal(one.step(0.5)[0], two.step(np.array([0.5], np.float32))[0])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([np.nan], "NaN"),
        ([np.inf], "infinite"),
        (-np.inf, "infinite"),
        ([0.1, 0.2], "one number"),
        ([], "one number"),
    ],
)
def test_impossible_actions_are_refused(action, message):
    env = CartPoleSwingUpEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_batched_actions_that_are_not_finite_are_refused(bad):
    envs = BatchedSwingUp(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        envs.step(np.array([[0.0], [bad]]))


def test_a_push_beyond_all_floats_is_clipped_in_silence():
    one, two = CartPoleSwingUpEnv(), CartPoleSwingUpEnv()
    one.reset(seed=0), two.reset(seed=0)
    np.testing.assert_array_equal(one.step([-1e300])[0], two.step([-1.0])[0])


def test_nothing_works_before_the_first_reset():
    env = CartPoleSwingUpEnv(render_mode="rgb_array")
    for call in (lambda: env.step([0.0]), env.render):
        with pytest.raises(RuntimeError, match="reset"):
            call()


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode"):
        CartPoleSwingUpEnv(render_mode="human")


def test_seeds_decide_the_start():
    env = CartPoleSwingUpEnv()
    first, second, other = (env.reset(seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).all()


def test_a_restored_environment_repeats_itself():
    env, rng = CartPoleSwingUpEnv(), np.random.default_rng(0)
    env.reset(seed=0)
    actions = rng.uniform(-1, 1, (40, 1))

    def run():
        steps = [env.step(action)[:3] for action in actions]
        return [np.append(o, (r, t)) for o, r, t in steps], env.reset()[0]  # the generator too

    [env.step(action) for action in actions]
    saved = env.get_state()
    first, again = run(), None
    observation = env.set_state(saved)
    np.testing.assert_array_equal(observation, observe_swingup(saved["state"][:, None])[0])
    again = run()
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


# Scalar against batched ------------------------------------------------------------------------


@pytest.mark.parametrize(("env_id", "n"), [("CartPoleSwingUp-v0", 5), ("CartPoleSwingUp-v1", 1)])
def test_scalar_and_batched_agree_exactly(env_id, n):
    envs = BATCHED[env_id](n, autoreset_mode=AutoresetMode.DISABLED)
    scalars = [make(env_id) for _ in range(n)]
    observations, _ = envs.reset(seed=0)
    rng, ends = np.random.default_rng(1), 0

    def copy_start(i):
        scalars[i].reset()
        np.testing.assert_array_equal(start(scalars[i], envs.state[:, i]), observations[i])

    for i in range(n):
        copy_start(i)
    drift = rng.uniform(-1, 1, (n, 1))  # so that some leave the track and some do not
    for _ in range(600):
        actions = np.clip(drift + rng.normal(0, 0.5, (n, 1)), -1.2, 1.2).astype(np.float32)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        for i, env in enumerate(scalars):
            observation, *rest, _ = env.step(actions[i])
            np.testing.assert_array_equal(observation, observations[i])
            np.testing.assert_array_equal(env.unwrapped.state, envs.state[:, i])
            assert rest == [rewards[i], terminated[i], truncated[i]]
        if (ended := terminated | truncated).any():
            ends += ended.sum()
            observations, _ = envs.reset(options={"reset_mask": ended})
            for i in np.flatnonzero(ended):
                copy_start(i)
    assert ends >= n


def test_the_number_of_copies_does_not_change_the_physics():
    rng = np.random.default_rng(0)
    states, actions = rng.normal(0, 3, (4, 37)), rng.uniform(-1, 1, 37)
    together = swingup_dynamics(states, actions)
    for n in (1, 2, 3, 5, 8, 17):  # vectorised cosines have a remainder loop
        alone = swingup_dynamics(np.ascontiguousarray(states[:, :n]), actions[:n])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[..., :n], b)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(("kind", "shift"), [(BatchedSwingUp, -1.0), (BatchedSwingUpV1, 0.0)])
def test_each_autoreset_mode_at_a_crash(mode, kind, shift):
    envs = kind(2, autoreset_mode=mode)
    envs.reset(seed=0)
    crash = np.array([[2.39, 1.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).T  # only the first one
    put(envs, crash)
    idle = np.zeros((2, 1), np.float32)
    observations, rewards, terminated, truncated, infos = envs.step(idle)
    np.testing.assert_array_equal(rewards, 1.0)
    np.testing.assert_array_equal(terminated, [True, False])
    np.testing.assert_array_equal(truncated, False)
    if mode is AutoresetMode.SAME_STEP:
        assert abs(observations[0, 0]) < 1.2
        assert observations[0, 2] < 0
        np.testing.assert_array_equal(infos["_final_obs"], [True, False])
        assert infos["final_obs"][0, 0] == np.float32(2.401)
        return
    assert observations[0, 0] == np.float32(2.401)
    assert infos == {}
    if mode is AutoresetMode.DISABLED:
        with pytest.raises(RuntimeError, match=r"copies \[0\] have ended"):
            envs.step(idle)
        return
    observations, rewards, terminated, truncated, _ = envs.step(idle)
    assert abs(observations[0, 0]) < 1.2
    assert observations[0, 2] < 0
    assert rewards[0] == 0.0
    assert rewards[1] > 0.99
    assert not terminated.any()
    assert not truncated.any()


def test_make_envs_finds_the_batched_version():
    assert type(make_envs("CartPoleSwingUp-v0", 3)) is BatchedSwingUp
    envs = make_envs("CartPoleSwingUp-v1", 3)
    assert type(envs) is BatchedSwingUpV1
    assert envs.action_space.shape == (3, 1)
    assert envs.reset(seed=0)[0].shape == (3, 5)


# Pictures --------------------------------------------------------------------------------------

AMBER = np.array([209, 130, 43])  # the pole


def pole_pixels(frame):
    """Rows (down) and columns (right) of the pole's pixels."""
    return np.nonzero((np.abs(frame.astype(int) - AMBER) < 30).all(axis=2))


def test_the_frame_shows_the_pole_up_and_down():
    up, down = draw_swingup(0.0, 0.0), draw_swingup(0.0, np.pi)
    for frame in (up, down):
        assert frame.shape == (200, 600, 3)
        assert frame.dtype == np.uint8
        assert len(pole_pixels(frame)[0]) > 150
    assert pole_pixels(up)[0].max() <= 100 <= pole_pixels(down)[0].min()


def test_a_positive_angle_leans_to_the_left():
    columns = pole_pixels(draw_swingup(0.0, 0.5))[1]
    assert columns.min() < 275
    assert columns.max() < 305


def test_the_cart_moves_with_x():
    left, right = (pole_pixels(draw_swingup(x, 0.0))[1].mean() for x in (-2.0, 2.0))
    assert right - left == pytest.approx(4.0 * 600 / (2 * 2.4 + 0.8), abs=2)


def test_render_draws_the_current_state():
    env = make("CartPoleSwingUp-v0", render_mode="rgb_array")
    env.reset(seed=0)
    start(env, [1.0, 0.0, 0.3, 0.0])
    np.testing.assert_array_equal(env.render(), draw_swingup(1.0, 0.3))


def test_render_without_a_mode_says_so():
    env = CartPoleSwingUpEnv()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert env.render() is None
