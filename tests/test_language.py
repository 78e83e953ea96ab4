"""A language model small enough to know the truth about: enumeration, bounds, groups, estimators."""

import itertools
import math

import numpy as np
import pytest
import torch

from course_lib.language import bounds, enumeration, groups, kl_gradients, ratios, reference
from course_lib.language.grpo import clipped_loss, grpo_loss, within_total_variation
from course_lib.language.sampling import (
    draw_answers,
    draw_batch,
    exact_accuracy,
    greedy_accuracy,
    next_token_log_probs,
    of_tokens,
)
from course_lib.language.task import addition, decode, encode, split
from course_lib.language.transformer import Decoder
from course_lib.parameters import assign, flatten

EIGHT = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 3.0)  # sizes of a random change of the weights


def decoder(seed=0, spread=3.0):
    """A float64 decoder whose distributions are far from uniform."""
    model = Decoder(12, 8, width=16, layers=1, heads=2, seed=seed).double()
    with torch.no_grad():
        model.head.weight.mul_(spread)
    return model


def moved(model, size, seed=1):
    """A copy, with its weights changed at random."""
    other = decoder()
    generator = torch.Generator().manual_seed(seed)
    theta = flatten(model.parameters()).detach()
    noise = torch.randn(len(theta), generator=generator, dtype=torch.float64)
    assign(list(other.parameters()), theta + 0.1 * size * noise)
    return other


ONES = torch.ones(3, 2)
TASK = addition().take(range(0, 10_000, 1_999))  # six prompts
REWARDS = enumeration.correct(TASK.answers, 12)


def tree(model, requires_grad=False):
    with torch.set_grad_enabled(requires_grad):
        return enumeration.answer_tree(model, TASK.prompts, 3, 12)


def test_the_task_adds():
    task = addition()
    assert len(task) == 10_000
    for row in (0, 3758, 9999):
        a, b = decode(task.prompts[row])[:-1].split("+")
        assert int(a) + int(b) == int(decode(task.answers[row]))
    assert decode(torch.tensor(encode("37+58="))) == "37+58="
    train, held_out = split(task, 2000)
    asked = {tuple(p.tolist()) for p in torch.cat([train.prompts, held_out.prompts])}
    assert (len(train), len(held_out), len(asked)) == (8000, 2000, 10_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: addition(3), "digits must be 1 or 2"),
        (lambda: encode("1-2"), "holds"),
        (lambda: split(TASK, 6), "held_out must lie between 1 and 5"),
        (lambda: Decoder(12, 8, width=10, heads=4), "4 does not divide 10"),
        (lambda: groups.rloo_advantages(torch.ones(3, 1)), "at least 2 answers"),
        (lambda: groups.grpo_advantages(torch.ones(3)), "one row per prompt"),
        (lambda: groups.grpo_advantages(torch.ones(1, 3), epsilon=-0.5), "epsilon must be at least"),
        (lambda: groups.std_weight(1.0, 8), "0 < p < 1"),
        (lambda: groups.length_drift(0.0), "between 0 and 1"),
        (lambda: bounds.tv_bound([0.1, 1.2]), r"lies in \[0, 1\]"),
        (lambda: reference.reference_kl(torch.ones(2), torch.ones(2), "k4"), "estimator must be"),
        (lambda: reference.reference_kl(torch.ones(2), torch.ones(2, 1)), "shape"),
        (lambda: ratios.log_ratio_for_tokens(ONES, ONES[:, :1], ONES, "token"), "shape"),
        (lambda: clipped_loss(ONES, torch.ones(2), ONES, 0.2, 0.2), "one row per answer"),
        (lambda: clipped_loss(ONES, ONES, ONES[:1], 0.2, 0.2), "mask has"),
        (lambda: clipped_loss(ONES, ONES, ONES, -0.2, 0.2), "clip ranges must be at least 0"),
        (lambda: grpo_loss(ONES, ONES, ONES[:, 0], ONES, 0.2, math.nan), "clip ranges must be"),
        (lambda: enumeration.answer_tree(decoder(), TASK.prompts, 0, 12), "length must be"),
        (lambda: draw_batch(decoder(), TASK, 7, 2, torch.Generator()), "cannot hold 7"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_attention_is_torchs_and_looks_back_only():
    model = decoder()
    block = model.blocks[0].attention
    x = torch.randn(3, 8, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q, k, v = (p.view(3, 8, 2, 8).transpose(1, 2) for p in block.project(x).split(16, -1))
    fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(
        block(x), block.out(fused.transpose(1, 2).reshape(3, 8, 16)), rtol=1e-12, atol=1e-12
    )
    tokens = torch.arange(8)[None]
    changed = tokens.clone()
    changed[0, 5] = 11
    same = (model(tokens) - model(changed)).abs().amax(-1)[0]
    assert same[:5].max() == 0
    assert same[5:].min() > 1e-6


def test_the_tree_holds_every_answer():
    model = decoder()
    log_probs = enumeration.answer_log_probs(tree(model))
    assert log_probs.shape == (6, 12**3)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(6).double(), rtol=0, atol=1e-12)
    for number, answer in ((0, (0, 0, 0)), (1727, (11, 11, 11)), (5 * 144 + 7 * 12 + 3, (5, 7, 3))):
        answers = torch.tensor([answer] * 6)
        direct = of_tokens(next_token_log_probs(model, TASK.prompts, answers), answers).sum(-1)
        torch.testing.assert_close(log_probs[:, number], direct.detach(), rtol=1e-12, atol=1e-12)


def test_an_answer_may_be_one_token():
    (level,) = enumeration.answer_tree(decoder(), TASK.prompts, 1, 12)
    torch.testing.assert_close(level, tree(decoder())[0])


def test_sampling_follows_the_tree():
    model, draws = decoder(), 20_000
    prompts = TASK.prompts[:1].repeat(draws, 1)
    answers = draw_answers(model, prompts, 3, torch.Generator().manual_seed(0))
    numbers = (answers * torch.tensor([144, 12, 1])).sum(-1)
    p = enumeration.answer_log_probs(tree(model))[0].exp()
    counts = torch.bincount(numbers, minlength=1728)
    likely = p > 5 / draws
    z = (counts - draws * p)[likely] / (draws * p * (1 - p))[likely].sqrt()
    assert likely.sum() > 100
    assert 0.8 < z.square().mean() < 1.25


def test_importance_identity_and_chain_rule():
    """Products of token ratios move J from one policy to the other, and the KL adds up: 1e-12."""
    old_model = decoder()
    old = tree(old_model)
    for size in EIGHT:
        new_model = moved(old_model, size)
        new = tree(new_model)
        ratio = (enumeration.answer_log_probs(new) - enumeration.answer_log_probs(old)).exp()
        weighted = (enumeration.answer_log_probs(old).exp() * ratio * REWARDS).sum(-1).mean()
        assert abs(weighted.item() - exact_accuracy(new_model, TASK)) < 1e-12
        gap = enumeration.sequence_kl(old, new) - enumeration.chained_kl(old, new)
        assert gap.abs().max() < 1e-12


def test_token_surrogate_is_its_definition():
    """E_old of J + sum_t (r_t - 1) R, answer by answer."""
    old, new = tree(decoder()), tree(moved(decoder(), 1.0))
    p = enumeration.answer_log_probs(old).exp()
    excess = torch.zeros_like(p[:, :1])
    for a, b in zip(old, new, strict=True):
        excess = (excess[..., None] + (b - a).exp() - 1).flatten(1)
    by_hand = (p * REWARDS).sum(-1) + (p * excess * REWARDS).sum(-1)
    ours = enumeration.token_surrogate(old, new, REWARDS)
    torch.testing.assert_close(ours, by_hand, rtol=0, atol=1e-12)


def test_the_surrogates_error_stays_below_its_bounds():
    old = tree(decoder())
    # Many answers may be right: with one of 1,728 the error could not be large.
    rewards = (torch.rand(6, 1728, generator=torch.Generator().manual_seed(2)) < 0.5).double()
    for size in EIGHT:
        new = tree(moved(decoder(), size))
        gain = enumeration.expected_reward(new, rewards)
        error = (gain - enumeration.token_surrogate(old, new, rewards)).abs()
        near = bounds.visitation_bound(old, new)
        far = bounds.tv_bound(bounds.largest_tv(old, new))
        assert (error > 0).all()
        assert (error <= near).all()
        assert (near <= far + 1e-12).all()
        change = gain - enumeration.expected_reward(old, rewards)
        assert (change.abs() <= enumeration.sequence_tv(old, new) + 1e-15).all()


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_the_bound_is_tight(alpha):
    """Two tokens: the first favours the prefix after which the second is better chosen."""
    old = [torch.full((1, 1, 2), 0.5).log(), torch.full((1, 2, 2), 0.5).log()]
    first = torch.tensor([[[0.5 - alpha, 0.5 + alpha]]])
    second = torch.tensor([[[0.5 - alpha, 0.5 + alpha], [0.5 - alpha, 0.5 + alpha]]])
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    old, new = [x.double() for x in old], [first.double().log(), second.double().log()]
    error = enumeration.expected_reward(new, rewards) - enumeration.token_surrogate(
        old, new, rewards
    )
    torch.testing.assert_close(error, torch.tensor([2 * alpha**2]).double())
    torch.testing.assert_close(bounds.tv_bound(bounds.largest_tv(old, new)), error)


def test_with_one_alpha_the_bound_is_quadratic_in_the_length():
    for T in (1, 2, 5, 100):
        assert bounds.tv_bound([0.02] * T).item() == pytest.approx(T * (T - 1) * 0.02**2)


def test_length_normalised_ratios_are_no_ratios():
    old, new = tree(decoder()), tree(moved(decoder(), 1.0))
    log_ratio = enumeration.answer_log_probs(new) - enumeration.answer_log_probs(old)
    p = enumeration.answer_log_probs(old).exp()
    torch.testing.assert_close((p * log_ratio.exp()).sum(-1), torch.ones(6).double())
    assert ((p * (log_ratio / 3).exp()).sum(-1) < 0.999).all()  # Jensen


def test_greedy_accuracy_is_that_of_greedy_answers():
    model, right = decoder(), 0
    task = TASK.take([0, 1, 2])
    for prompt, _ in zip(task.prompts, task.answers, strict=True):
        tokens = prompt[None]
        for _ in range(3):
            tokens = torch.cat([tokens, model(tokens)[:, -1].argmax(-1, keepdim=True)], 1)
        made = type(task)(prompt[None], tokens[:, 6:])
        right += greedy_accuracy(model, made)
        wrong = type(task)(prompt[None], (tokens[:, 6:] + torch.tensor([0, 0, 1])) % 12)
        assert greedy_accuracy(model, wrong) == 0
    assert right == 3


def test_rloo_leaves_each_answer_out():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 3.0]])
    expected = [
        [r - np.mean([x for j, x in enumerate(row) if j != i]) for i, r in enumerate(row)]
        for row in rewards.tolist()
    ]
    torch.testing.assert_close(
        groups.rloo_advantages(rewards.double()), torch.tensor(expected, dtype=torch.float64)
    )


def expected_gradient(p, group, advantages):
    """Mean over a group of advantage times d log pi / dp, over all groups with their weights."""
    total = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=group):
        rewards = torch.tensor([outcome], dtype=torch.float64)
        weight = np.prod([p if r else 1 - p for r in outcome])
        scores = torch.tensor([1 / p if r else -1 / (1 - p) for r in outcome], dtype=torch.float64)
        total += weight * (advantages(rewards)[0] * scores).mean().item()
    return total


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("group", [2, 5, 8])
def test_group_advantages_in_expectation(p, group):
    assert expected_gradient(p, group, groups.rloo_advantages) == pytest.approx(1.0, rel=1e-12)
    centred = expected_gradient(p, group, lambda r: groups.grpo_advantages(r, divide=False))
    assert centred == pytest.approx((group - 1) / group, rel=1e-12)
    divided = expected_gradient(p, group, lambda r: groups.grpo_advantages(r, epsilon=0.0))
    assert divided == pytest.approx(groups.std_weight(p, group), rel=1e-12)


def test_std_weight_by_monte_carlo_and_in_the_limit():
    p, group, draws = 0.1, 8, 40_000
    rewards = (torch.rand(draws, group, generator=torch.Generator().manual_seed(0)) < p).double()
    scores = rewards / p - (1 - rewards) / (1 - p)
    sample = (groups.grpo_advantages(rewards) * scores).mean(1)
    error = sample.mean().item() - groups.std_weight(p, group)
    assert abs(error) < 3 * sample.std().item() / math.sqrt(draws)
    assert groups.std_weight(0.3, 800) == pytest.approx((0.3 * 0.7) ** -0.5, rel=2e-3)
    assert groups.std_weight(0.01, 8) == pytest.approx(2.61, abs=0.005)
    assert groups.std_weight(0.5, 8) == pytest.approx(1.86, abs=0.005)


def test_length_drift_by_monte_carlo_and_as_a_series():
    stop, draws = 0.1, 100_000
    lengths = np.random.default_rng(0).geometric(stop, draws)
    # d log pi / d logit: stop for each filler, stop - 1 for stopping.
    slopes = ((lengths - 1) * stop + (stop - 1)) / lengths
    error = slopes.mean() - groups.length_drift(stop)
    assert abs(error) < 3 * slopes.std() / math.sqrt(draws)
    n = np.arange(1, 2000)
    series = np.sum(stop * (1 - stop) ** (n - 1) * (n * stop - 1) / n)
    assert groups.length_drift(stop) == pytest.approx(series, rel=1e-10)
    assert groups.length_drift(stop) == pytest.approx(-0.156, abs=5e-4)
    undivided = np.sum(stop * (1 - stop) ** (n - 1) * (n * stop - 1))
    assert undivided == pytest.approx(0.0, abs=1e-10)


def test_constant_groups_teach_nothing():
    for constant in (0.0, 1.0):
        rewards = torch.full((2, 4), constant)
        assert (groups.grpo_advantages(rewards) == 0).all()
        assert (groups.rloo_advantages(rewards) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("divide", [True, False])
def test_equal_rewards_that_are_rounded_teach_nothing(dtype, divide):
    """Their computed mean is another number, and both it and the deviation are rounding."""
    for group in (3, 15, 1000):
        rewards = torch.tensor([[100.1], [-0.3], [1e-30]], dtype=dtype).expand(-1, group)
        for epsilon in (1e-6, 0.0):
            assert (groups.grpo_advantages(rewards, divide, epsilon) == 0).all()
    apart = torch.tensor([[100.1, 100.2, 100.1]], dtype=dtype)
    want = [[-(0.5**0.5), 2**0.5, -(0.5**0.5)]] if divide else [[-0.1 / 3, 0.2 / 3, -0.1 / 3]]
    torch.testing.assert_close(
        groups.grpo_advantages(apart, divide), torch.tensor(want, dtype=dtype), rtol=1e-3, atol=0
    )


def test_rewards_may_be_whole_numbers_and_nan_is_not_hidden():
    rewards = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1]])
    want = torch.tensor([[-1.0, 1.0, 1.0, -1.0], [0.0] * 4])
    for given in (rewards, rewards.bool()):
        torch.testing.assert_close(groups.grpo_advantages(given, epsilon=0.0), want)
    assert groups.grpo_advantages(torch.tensor([[1.0, torch.nan]])).isnan().all()


def one_token(seed):
    generator = torch.Generator().manual_seed(seed)
    logits, ref, old = torch.randn(3, 1, 1, 6, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), ref.log_softmax(-1), old.log_softmax(-1)


@pytest.mark.parametrize("seed", range(3))
def test_whose_gradient_an_estimator_follows_for_one_token(seed):
    logits, ref, old = one_token(seed)
    new = logits.log_softmax(-1)

    def grad(loss):
        return kl_gradients.gradient_of(loss, [logits])

    p, q = new.exp(), ref.exp()
    reverse = grad((p * (new - ref)).sum())
    forward = grad(-(q * new).sum())
    on = {
        k: grad(kl_gradients.expected_token_loss([new], [ref], [new], k))
        for k in ("k1", "k2", "k3")
    }
    in_reward = {
        k: grad(kl_gradients.expected_reward_loss([new], [ref], [new], k)) for k in ("k1", "k3")
    }
    off = {
        k: grad(kl_gradients.expected_token_loss([new], [ref], [old], k, weighted=True))
        for k in ("k1", "k2", "k3")
    }

    def near(one, other):
        return (one - other).norm() < 1e-12 * (1 + other.norm())

    assert near(on["k1"], 0 * reverse)
    assert near(on["k2"], reverse)
    assert near(on["k3"], forward)
    assert near(in_reward["k1"], reverse)
    assert near(in_reward["k3"], reverse - forward)
    assert near(off["k1"], reverse)
    assert near(off["k3"], reverse)
    assert (off["k2"] - reverse).norm() > 0.05 * reverse.norm()
    unweighted = grad(kl_gradients.expected_token_loss([new], [ref], [old], "k2"))
    assert (unweighted - reverse).norm() > 0.05 * reverse.norm()


def test_whose_gradient_for_whole_answers():
    model, ref, sampler = moved(decoder(), 0.5), tree(decoder()), tree(moved(decoder(), 0.7))
    policy = tree(model, requires_grad=True)
    parameters = list(model.parameters())
    on = kl_gradients.gradient_table(policy, ref, [x.detach() for x in policy], parameters)
    off = kl_gradients.gradient_table(policy, ref, sampler, parameters)
    assert on["k1 as a loss"]["norm"] < 1e-10
    assert math.isnan(on["k1 as a loss"]["cos_reverse"])
    assert on["k1 in the reward"]["error_reverse"] < 1e-10
    assert off["k1 in the reward times the ratio"]["error_reverse"] < 1e-10
    # Everything else is somebody else's gradient.
    for rows, names in (
        (on, ("k2 as a loss", "k3 as a loss", "k3 in the reward", "k3 times the ratio")),
        (
            off,
            (
                "k1 as a loss",
                "k2 as a loss",
                "k3 as a loss",
                "k1 in the reward",
                "k3 times the ratio",
            ),
        ),
    ):
        for name in names:
            assert rows[name]["error_reverse"] > 1e-3, name
    # The token ratio misses only that the prefixes move.
    assert on["k3 times the ratio"]["error_reverse"] < on["k3 as a loss"]["error_reverse"]


def test_sequence_log_ratio_sums_what_belongs_to_the_answer():
    new = torch.tensor([[-1.0, -2.0, torch.nan], [-1.0, -1.0, -1.0]])
    old = torch.tensor([[-2.0, -2.5, 0.0], [-0.5, -1.0, -2.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    torch.testing.assert_close(ratios.sequence_log_ratio(new, old, mask), torch.tensor([1.5, 0.5]))
    torch.testing.assert_close(
        ratios.sequence_log_ratio(new, old, mask, average=True), torch.tensor([0.75, 0.5 / 3])
    )
    with pytest.raises(ValueError, match="ratio must be"):
        ratios.log_ratio_for_tokens(new, old, mask, "sum")


def test_kl_in_the_reward_is_data():
    generator = torch.Generator().manual_seed(0)
    new, ref = torch.randn(2, 4, 3, generator=generator)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0])
    got = reference.kl_in_reward(rewards, new.requires_grad_(), ref, mask, 0.1)
    by_hand = [
        r - 0.1 * sum(n - f for n, f, m in zip(*row, strict=True) if m)
        for r, *row in zip(*(x.tolist() for x in (rewards, new, ref, mask)), strict=True)
    ]
    torch.testing.assert_close(got, torch.tensor(by_hand))
    assert not got.requires_grad
    ref, rewards = ref.requires_grad_(), rewards.requires_grad_()
    assert not reference.kl_in_reward(rewards, new, ref, mask, 0.1).requires_grad


def test_grpo_loss_by_cases():
    """Token by token: a ratio beyond its edge on the good side is the edge."""
    generator = torch.Generator().manual_seed(0)
    old = -torch.rand(5, 4, generator=generator).double() - 0.5
    new = (old + 0.5 * torch.randn(5, 4, generator=generator)).requires_grad_()
    A = torch.tensor([1.0, -1.0, 2.0, -0.5, 0.3], dtype=torch.float64)
    lengths = [4, 1, 2, 3, 4]
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    total = 0.0
    for i, n in enumerate(lengths):
        for t in range(n):
            r = math.exp((new[i, t] - old[i, t]).item())
            r = min(r, 1.28) if A[i] > 0 else max(r, 0.8)
            total -= r * A[i].item() / n / 5
    loss = grpo_loss(new, old, A, mask, 0.2, 0.28)
    assert loss.item() == pytest.approx(total, rel=1e-12)
    loss.backward()
    assert (new.grad[~mask] == 0).all()
    whole = clipped_loss(new - old, A[:, None], torch.ones(5, 4), 0.2, 0.28)
    full = grpo_loss(new, old, A, torch.ones(5, 4, dtype=torch.bool), 0.2, 0.28)
    torch.testing.assert_close(whole, full)


@pytest.mark.parametrize("loss", ["of all places", "as published"])
def test_a_ratio_that_overflows_has_no_gradient_where_it_is_clipped(loss):
    new = torch.tensor([[100.0], [100.0], [2.0], [-200.0]], requires_grad=True)
    A, mask = torch.tensor([1.0, 0.0, 1.0, -1.0]), torch.ones(4, 1)
    if loss == "as published":
        got = grpo_loss(new, torch.zeros(4, 1), A, mask, 0.2, 0.28)
    else:
        got = clipped_loss(new, A[:, None], mask, 0.2, 0.28)
    got.backward()
    assert got.item() == pytest.approx(-(2 * 1.28 - 0.8) / 4)
    assert (new.grad == 0).all()


def test_advantages_are_data():
    A = torch.ones(3, 1, requires_grad=True)
    clipped_loss(torch.zeros(3, 2, requires_grad=True), A, ONES, 0.2, 0.2).backward()
    assert A.grad is None


def test_the_tv_mask_lets_tokens_come_back():
    old = torch.tensor([[0.5, 0.5]]).log().expand(4, 1, 2)
    new = torch.tensor([[[0.9, 0.1]], [[0.9, 0.1]], [[0.55, 0.45]], [[0.1, 0.9]]]).log()
    log_ratio = (new - old)[..., 0]
    A = torch.tensor([[1.0], [-1.0], [1.0], [1.0]])
    free = within_total_variation(new, old, log_ratio, A, 0.2)
    assert free[:, 0].tolist() == [False, True, True, True]
