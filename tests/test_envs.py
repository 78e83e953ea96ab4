"""Batched environments: Gymnasium's physics, Gymnasium's way of ending and restarting episodes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from course_lib.experience.envs import BATCHED, BatchedCartPole, CartPoleSwingUpEnv, make_envs

MODES = list(AutoresetMode)
SAME_STEP, NEXT_STEP, DISABLED = (
    AutoresetMode.SAME_STEP,
    AutoresetMode.NEXT_STEP,
    AutoresetMode.DISABLED,
)


def put(envs, states):
    """Put the copies of a batched environment into states (4, N) of ours."""
    return envs.set_state(envs.get_state() | {"state": np.array(states, dtype=float)})


class Scripted(gym.Env):
    """Gymnasium's CartPole, except that its episodes start where a batched environment's did.

    The first starts are given; later ones are read from ``source``, copy ``index``, right after it
    has reset. So both take the same starts, and may be compared for ever.
    """

    def __init__(self, source, index):
        self.env = gym.make("CartPole-v1", max_episode_steps=source.max_episode_steps)
        self.observation_space, self.action_space = (
            self.env.observation_space,
            self.env.action_space,
        )
        self.source, self.index = source, index

    def reset(self, *, seed=None, options=None):
        self.env.reset()
        self.env.unwrapped.state = self.source.state[:, self.index].copy()
        return self.env.unwrapped.state.astype(np.float32), {}

    def step(self, action):
        return self.env.step(action)


# Physics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 6])
def test_cartpole_is_gymnasiums_bit_for_bit(n):
    envs = BatchedCartPole(n, autoreset_mode=DISABLED)
    scalars = [gym.make("CartPole-v1").unwrapped for _ in range(n)]
    rng = np.random.default_rng(0)
    envs.reset(seed=0)
    for env in scalars:
        env.reset()
    for _ in range(2000 if n == 1 else 1000):
        # Anywhere within the limits and a little beyond, moving in any way.
        states = rng.uniform(-1, 1, (4, n)) * np.array([[2.5], [3.0], [0.22], [3.0]])
        put(envs, states)
        actions = rng.integers(0, 2, n)
        observations, rewards, terminated, _, _ = envs.step(actions)
        for i, env in enumerate(scalars):
            env.state, env.steps_beyond_terminated = states[:, i].copy(), None
            observation, reward, ended, _, _ = env.step(actions[i])
            np.testing.assert_array_equal(env.state, envs.state[:, i])
            np.testing.assert_array_equal(observation, observations[i])
            assert (reward, ended) == (rewards[i], terminated[i])
        envs.reset()  # so that ended copies may go on


def test_cartpole_starts_where_gymnasiums_does():
    envs = BatchedCartPole(5000)
    observations, _ = envs.reset(seed=0)
    assert np.abs(observations).max() <= 0.05
    np.testing.assert_allclose(observations.mean(axis=0), 0, atol=0.003)
    np.testing.assert_allclose(observations.std(axis=0), 0.05 / np.sqrt(3), atol=0.001)


# Ends and restarts -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "limit"), [(1, 500), (5, 500), (5, 12)])
def test_episodes_end_and_restart_as_in_gymnasiums_sync_vector_env(mode, n, limit):
    envs = BatchedCartPole(n, max_episode_steps=limit, autoreset_mode=mode)
    reference = SyncVectorEnv(
        [lambda i=i: Scripted(envs, i) for i in range(n)], autoreset_mode=mode
    )
    np.testing.assert_array_equal(envs.reset(seed=0)[0], reference.reset()[0])
    rng, seen = np.random.default_rng(1), np.zeros(2, dtype=int)
    for _ in range(400):
        actions = rng.integers(0, 2, n)
        *ours, infos = envs.step(actions)
        *theirs, their_infos = reference.step(actions)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        ended = ours[2] | ours[3]
        seen += ours[2].sum(), ours[3].sum()
        assert ("final_obs" in infos) == ("final_obs" in their_infos)
        if "final_obs" in infos:
            np.testing.assert_array_equal(infos["_final_obs"], their_infos["_final_obs"])
            for i in np.flatnonzero(ended):
                np.testing.assert_array_equal(infos["final_obs"][i], their_infos["final_obs"][i])
        if mode is DISABLED and ended.any():
            a, _ = envs.reset(options={"reset_mask": ended})
            b, _ = reference.reset(options={"reset_mask": ended.copy()})
            np.testing.assert_array_equal(a, b)
    assert seen[0] > 0
    assert (seen[1] > 0) == (limit < 100)


@pytest.mark.parametrize("env_id", BATCHED)
@pytest.mark.parametrize("limit", [1, 7, None])
def test_the_time_limit_truncates(env_id, limit):
    envs = BATCHED[env_id](3, max_episode_steps=limit)
    envs.dynamics = lambda state, actions: (state, np.zeros(3), np.zeros(3, dtype=bool))  # no ends
    envs.reset(seed=0)
    steps = limit or gym.spec(env_id).max_episode_steps
    idle = np.zeros(envs.action_space.shape, envs.action_space.dtype)
    for _ in range(2):  # the count starts anew
        for step in range(1, steps + 1):
            _, _, terminated, truncated, _ = envs.step(idle)
            assert not terminated.any()
            np.testing.assert_array_equal(truncated, step == steps)


def test_an_episode_can_end_both_ways_at_once():
    envs = BatchedCartPole(1, max_episode_steps=1)
    envs.reset(seed=0)
    put(envs, [[2.4], [9.0], [0.0], [0.0]])
    _, _, terminated, truncated, _ = envs.step(np.array([1]))
    assert terminated[0]
    assert truncated[0]


def test_final_observations_are_not_the_next_episodes_first():
    envs = BatchedCartPole(2)
    envs.reset(seed=0)
    put(envs, [[2.4, 0.0], [9.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    observations, _, _, _, infos = envs.step(np.array([1, 1]))
    assert infos["final_obs"][0, 0] == np.float32(2.58)
    assert abs(observations[0, 0]) <= 0.05
    kept = infos["final_obs"].copy()
    envs.step(np.array([0, 0]))
    np.testing.assert_array_equal(infos["final_obs"], kept)  # not a view of what goes on


@pytest.mark.parametrize("mode", MODES)
def test_a_mask_resets_only_its_copies(mode):
    envs = BatchedCartPole(3, autoreset_mode=mode)
    envs.reset(seed=0)
    envs.step(np.zeros(3, int))
    before = envs.state  # no copy: a reset does not write into a state it has given out
    observations, _ = envs.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(envs.state[:, [0, 2]], before[:, [0, 2]])
    assert (envs.state[:, 1] != before[:, 1]).all()
    np.testing.assert_array_equal(observations, envs.state.T.astype(np.float32))


def test_a_mask_restarts_the_clock_of_its_copies_only():
    envs = BatchedCartPole(2, max_episode_steps=3)
    envs.reset(seed=0)
    envs.step(np.zeros(2, int))
    envs.reset(options={"reset_mask": np.array([False, True])})
    envs.step(np.zeros(2, int))
    np.testing.assert_array_equal(envs.step(np.zeros(2, int))[3], [True, False])


def test_a_reset_forgets_that_an_episode_had_ended():
    envs = BatchedCartPole(1, max_episode_steps=1, autoreset_mode=NEXT_STEP)
    envs.reset(seed=0)
    envs.step(np.zeros(1, int))
    envs.reset()
    assert envs.step(np.zeros(1, int))[1] == 1.0  # a step, not the reset that was due


def test_disabled_autoreset_insists_on_a_reset():
    envs = BatchedCartPole(2, max_episode_steps=1, autoreset_mode=DISABLED)
    envs.reset(seed=0)
    envs.step(np.zeros(2, int))
    with pytest.raises(RuntimeError, match=r"copies \[0, 1\] have ended"):
        envs.step(np.zeros(2, int))


# State, seeds and errors -----------------------------------------------------------------------


@pytest.mark.parametrize("env_id", BATCHED)
@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP])
@pytest.mark.parametrize("played", [4, 9])  # at 9 steps of 9 a due reset is part of the state
def test_a_restored_environment_repeats_itself(env_id, mode, played):
    envs = BATCHED[env_id](4, max_episode_steps=9, autoreset_mode=mode)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(40)]
    for action in actions[:played]:
        last = envs.step(action)[0]
    saved = envs.get_state()
    first = [envs.step(action)[:4] for action in actions]
    np.testing.assert_array_equal(envs.set_state(saved), last)
    for before, action in zip(first, actions, strict=True):
        for a, b in zip(before, envs.step(action)[:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_saved_state_is_a_copy():
    envs = BatchedCartPole(2)
    envs.reset(seed=0)
    saved = envs.get_state()
    state, elapsed = saved["state"].copy(), saved["elapsed"].copy()
    envs.set_state(saved)
    for _ in range(30):
        envs.step(np.zeros(2, int))
    np.testing.assert_array_equal(saved["state"], state)
    np.testing.assert_array_equal(saved["elapsed"], elapsed)


@pytest.mark.parametrize("env_id", BATCHED)
def test_seeds_decide_everything(env_id):
    def episode(seed):
        envs = BATCHED[env_id](3, max_episode_steps=10)
        observations = [envs.reset(seed=seed)[0]]
        action = np.ones(envs.action_space.shape, envs.action_space.dtype)
        return np.array(observations + [envs.step(action)[0] for _ in range(25)])

    np.testing.assert_array_equal(episode(3), episode(3))
    assert (episode(3)[0] != episode(4)[0]).any()


def test_a_reset_without_a_seed_goes_on_with_the_generator():
    envs = BatchedCartPole(1)
    first, _ = envs.reset(seed=0)
    second, _ = envs.reset()
    assert (first != second).all()


@pytest.mark.parametrize("env_id", BATCHED)
def test_copies_start_differently(env_id):
    observations, _ = BATCHED[env_id](8).reset(seed=0)
    assert len(np.unique(observations, axis=0)) == 8


@pytest.mark.parametrize("env_id", BATCHED)
@pytest.mark.parametrize("n", [1, 16])
def test_shapes_and_types_are_what_the_spaces_say(env_id, n):
    envs = BATCHED[env_id](n)
    observations, infos = envs.reset(seed=0)
    assert observations in envs.observation_space
    assert infos == {}
    observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space
    for array, dtype in ((rewards, np.float64), (terminated, bool), (truncated, bool)):
        assert array.shape == (n,)
        assert array.dtype == dtype


@pytest.mark.parametrize("arguments", [dict(num_envs=0), dict(num_envs=2, max_episode_steps=0)])
def test_numbers_of_copies_and_steps_must_be_positive(arguments):
    with pytest.raises(ValueError, match="at least 1"):
        BatchedCartPole(**arguments)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="sometimes"):
        BatchedCartPole(1, autoreset_mode="sometimes")


@pytest.mark.parametrize(
    "mask", [[True, False], np.array([1, 0]), np.array([True]), np.array([False, False])]
)
def test_impossible_masks_are_refused(mask):
    envs = BatchedCartPole(2)
    envs.reset(seed=0)
    if isinstance(mask, list):  # a list of booleans is as good as an array
        envs.reset(options={"reset_mask": mask})
        return
    with pytest.raises(ValueError, match="reset_mask must be"):
        envs.reset(options={"reset_mask": mask})


def test_the_first_reset_must_reset_everything():
    envs = BatchedCartPole(2)
    with pytest.raises(ValueError, match="first reset"):
        envs.reset(options={"reset_mask": np.array([True, False])})


def test_a_step_needs_a_reset_first():
    with pytest.raises(RuntimeError, match="reset"):
        BatchedCartPole(1).step(np.zeros(1, int))


@pytest.mark.parametrize(
    ("env_id", "shape"),
    [("CartPole-v1", (3,)), ("CartPole-v1", (2, 1)), ("CartPoleSwingUp-v0", (2,))],
)
def test_actions_of_the_wrong_shape_are_refused(env_id, shape):
    envs = BATCHED[env_id](2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="actions have shape"):
        envs.step(np.zeros(shape))


@pytest.mark.parametrize("action", [2, -1, 0.5])
def test_cartpole_knows_two_actions(action):
    envs = BatchedCartPole(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="actions are 0 and 1"):
        envs.step(np.array([0, action]))


# make_envs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_make_envs_prefers_the_batched_version_and_falls_back_to_gymnasium(mode):
    batched, other = make_envs("CartPole-v1", 3, mode), make_envs("Acrobot-v1", 2, mode)
    assert type(batched) is BatchedCartPole
    assert isinstance(other, SyncVectorEnv)
    for envs in (batched, other):
        assert envs.metadata["autoreset_mode"] is mode
    assert (batched.num_envs, other.num_envs) == (3, 2)
    other.close()


def test_make_envs_needs_a_copy():
    with pytest.raises(ValueError, match="num_envs"):
        make_envs("Acrobot-v1", 0)


def test_make_envs_knows_its_tasks():
    with pytest.raises(gym.error.UnregisteredEnv):
        make_envs("NoSuchTask-v0", 1)


# Options and spaces ----------------------------------------------------------------------------


def test_cartpole_takes_gymnasiums_reset_options():
    """As Gymnasium's own vector environment: for this reset and the autoresets after it."""
    reference = gym.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point")
    ours = BatchedCartPole(3)
    for options in ({"low": 0.1, "high": 0.2}, {"low": 0.03}, {}, None):
        a, _ = reference.reset(seed=0, options=options)
        b, _ = ours.reset(seed=0, options=options)
        np.testing.assert_array_equal(a, b)
    ours.reset(seed=0, options={"low": -0.21, "high": -0.2})
    saved = ours.get_state()
    ended = np.zeros(3, dtype=bool)
    while not ended.any():
        observations, _, ended, _, _ = ours.step(np.zeros(3, int))
    assert (observations[ended] <= np.float32(-0.2)).all()
    other = BatchedCartPole(3)
    other.reset(seed=5)
    other.set_state(saved)
    ended = np.zeros(3, dtype=bool)
    while not ended.any():
        again, _, ended, _, _ = other.step(np.zeros(3, int))
    np.testing.assert_array_equal(again, observations)  # a saved environment remembers them


@pytest.mark.parametrize("env_id", BATCHED)
@pytest.mark.parametrize("options", [{"reset_maks": np.array([True, False])}, {"lo": 0.1}])
def test_options_that_are_unknown_are_refused(env_id, options):
    envs = BATCHED[env_id](2)
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(ValueError, match=rf"reset has no '{next(iter(options))}'.*reset_mask"):
        envs.reset(seed=1, options=options)
    assert envs.get_state()["rng"] == before["rng"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0.2, "high": 0.1}, "low must not be above high"),
        ({"low": 0.1}, "low must not be above high, not 0.1 and 0.05"),
        ({"low": "a"}, "low must be a number"),
        ({"high": float("nan")}, "high must be finite"),
        ({"reset_mask": np.array([1, 0])}, "reset_mask must be a boolean array"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    envs = BatchedCartPole(2)
    with pytest.raises(ValueError, match=words):
        envs.reset(options=options)
    assert envs.state is None


def test_the_swing_up_has_no_options():
    with pytest.raises(ValueError, match=r"BatchedSwingUp\.reset has no 'low'"):
        BATCHED["CartPoleSwingUp-v0"](2).reset(options={"low": 0.1})
    env = CartPoleSwingUpEnv()
    with pytest.raises(ValueError, match=r"CartPoleSwingUpEnv\.reset has no 'low'; there are none"):
        env.reset(options={"low": 0.1})
    env.reset(options={})


@pytest.mark.parametrize("env_id", BATCHED)
def test_instances_that_nobody_seeded_draw_their_own_random_actions(env_id):
    kind = BATCHED[env_id]
    kind.single_action_space.sample()  # the class's space now has a generator, which copies would share
    first, second = kind(64), kind(64)
    assert first.action_space.sample().tolist() != second.action_space.sample().tolist()
    assert first.single_action_space is not second.single_action_space
    draws = [[envs.single_action_space.sample() for _ in range(64)] for envs in (first, second)]
    assert np.ravel(draws[0]).tolist() != np.ravel(draws[1]).tolist()
    for envs in (first, second):
        envs.action_space.seed(7)
    assert first.action_space.sample().tolist() == second.action_space.sample().tolist()


@pytest.mark.parametrize(
    "wrong", [{"num_envs": 2.0}, {"num_envs": "2"}, {"max_episode_steps": 9.5}]
)
def test_numbers_of_copies_and_steps_must_be_integers(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be an integer"):
        BatchedCartPole(**wrong)
