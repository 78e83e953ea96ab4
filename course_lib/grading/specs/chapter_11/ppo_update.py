"""Task 11.1: the PPO update, judged by the parameters that it leaves behind."""

import numpy as np

from ...catalogue import catalogue
from ...sandbox.tools import tensor, watched
from ...spec import Probe, Spec

# Samples, sizes of the minibatches of an epoch, epochs, and where the gradient norm is clipped.
CASES = {
    "one epoch of one minibatch; the gradient is not clipped": (4, (4,), 1, 100.0),
    "one epoch of two minibatches; the gradient is not clipped": (7, (4, 3), 1, 100.0),
    "four epochs of one minibatch; the gradient is not clipped": (5, (5,), 4, 100.0),
    "two epochs of one minibatch; the advantages are about 1e-8": (6, (6,), 2, 100.0),
    "three epochs of three minibatches; long gradients are clipped": (8, (3, 3, 2), 3, 2.0),
    "five epochs of two minibatches; nearly all gradients are clipped": (9, (5, 4), 5, 0.4),
    "one epoch of five minibatches; the gradient is not clipped": (10, (2,) * 5, 1, 100.0),
    "value targets of about 1e4; the gradient is not clipped": (4, (2, 2), 1, 1e9),
    "three epochs of long steps; ratios above 100": (5, (5,), 3, 3.0),
    "twelve epochs of one minibatch; long gradients are clipped": (6, (6,), 12, 1.5),
}
EDGE = 1e-3  # no ratio comes nearer to an edge of the clip range, where the gradient jumps


def harness(function, agent, batch, settings, minibatches):
    """Build two linear networks and their optimiser, call the function, return the weights.

    Where backward meets a graph for the second time, the weights are NaN: that error has few
    causes, and the judge knows them.
    """
    import types

    import torch

    class Policy(torch.nn.Module):
        """Categorical, with logits that are linear in the observation."""

        def __init__(self, weights):
            super().__init__()
            self.weights = torch.nn.Parameter(torch.tensor(weights))

        def forward(self, observations):
            return torch.distributions.Categorical(
                logits=observations @ self.weights, validate_args=False
            )

    class ValueNetwork(Policy):
        """Linear in the observation, without a trailing axis of length 1."""

        def forward(self, observations):
            return observations @ self.weights

    class Optimizer:
        """Gradient descent. Making one of torch's own takes seconds: it loads torch's compiler."""

        def __init__(self, parameters, learning_rate):
            self.param_groups = [{"params": parameters, "lr": learning_rate}]

        def zero_grad(self, set_to_none=True):
            for parameter in self.param_groups[0]["params"]:
                parameter.grad = None if set_to_none else torch.zeros_like(parameter)

        @torch.no_grad()
        def step(self):
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is not None:
                    parameter -= self.param_groups[0]["lr"] * parameter.grad

    policy, value_network = Policy(agent["policy"]), ValueNetwork(agent["value_network"])

    def parameters():
        return [policy.weights, value_network.weights]

    arguments = (
        types.SimpleNamespace(
            policy=policy,
            value_network=value_network,
            parameters=parameters,
            optimizer=Optimizer(parameters(), agent["learning_rate"]),
        ),
        watched(types.SimpleNamespace(**{key: tensor(a) for key, a in batch.items()}), batch),
        watched(types.SimpleNamespace(**settings), settings),
        watched([[tensor(index) for index in epoch] for epoch in minibatches], minibatches),
    )
    kept = watched([0], agent)
    try:
        function(*arguments)
        kept[0] += arguments[0].optimizer.param_groups[0]["lr"] != agent["learning_rate"]
    except RuntimeError as error:
        if "backward through the graph a second time" not in str(error):
            raise
        return tuple(np.full(weights.shape, np.nan) for weights in parameters())
    return tuple(weights.detach().numpy().copy() for weights in parameters())


def probes(generator):
    """Return rollouts whose updates clip some ratios, none of them near an edge."""
    return [
        Probe(title, drawn(generator, size, sizes, epochs, max_grad_norm))
        for title, (size, sizes, epochs, max_grad_norm) in CASES.items()
    ]


def drawn(generator, size, sizes, epochs, max_grad_norm):
    """Draw one rollout until its update shows what it should."""
    while True:
        arguments = draw(generator, size, sizes, epochs, max_grad_norm)
        if epochs == 2:  # where it matters that epsilon is added to the standard deviation
            arguments[1]["advantages"] *= 1e-8
        if max_grad_norm == 1e9:
            arguments[1]["value_targets"] *= 1e4
        if max_grad_norm == 3:  # one action is likelier for one sample's sake, to another's harm
            agent, batch = arguments[:2]
            agent["learning_rate"] = 8.0
            agent["policy"] *= 3
            batch["observations"][1] = batch["observations"][0]
            batch["actions"][:2] = np.argmin(batch["observations"][0] @ agent["policy"])
            batch["advantages"][:2] = 9, -1
        seen = {"ratio": [], "bad ratio": [], "norm": [], "policy norm": []}
        trained(*arguments, seen)
        distance, norms = np.abs(np.array(seen["ratio"]) - 1), np.array(seen["norm"])
        clip_range = arguments[2]["clip_range"]
        if np.abs(distance - clip_range).min() < EDGE:
            continue
        if epochs > 1 and max_grad_norm != 3 and not 0.15 < (distance > clip_range).mean() < 0.8:
            continue
        share = (norms > 1.2 * max_grad_norm).mean()
        if max_grad_norm == 100 and share > 0:
            continue
        if max_grad_norm == 2 and not 0.2 < share < 0.9:
            continue
        if max_grad_norm == 3 and not 100 < max(seen["bad ratio"]) < 1e5:
            continue
        if max_grad_norm < 1 and not max(seen["policy norm"]) > 1.5 * max_grad_norm:
            continue
        return arguments


def draw(generator, size, sizes, epochs, max_grad_norm):
    """Draw the arguments of one update."""
    features, actions = 3, 4
    one_decimal = lambda low, high, *shape: generator.integers(low, high, shape) / 10  # noqa: E731
    agent = {
        "policy": one_decimal(-8, 9, features, actions),
        "value_network": one_decimal(-15, 16, features),
        "learning_rate": 0.5,
    }
    batch = {
        "observations": one_decimal(-15, 16, size, features),
        "actions": generator.integers(0, actions, size),
        "advantages": generator.permutation(np.arange(-12, 30))[:size] / 10,
        "value_targets": one_decimal(-40, 41, size),
    }
    settings = {
        "clip_range": float(generator.choice([0.1, 0.2, 0.3])),
        "value_coef": float(generator.choice([0.3, 0.4, 0.6])),
        "entropy_coef": float(generator.choice([0.1, 0.15, 0.2])),
        "max_grad_norm": max_grad_norm,
    }
    cuts = np.cumsum(sizes)[:-1]
    minibatches = [np.split(generator.permutation(size), cuts) for _ in range(epochs)]
    return agent, batch, settings, minibatches


def oracle(agent, batch, settings, minibatches):
    """Return the weights after all steps, by the gradients that the loss has on paper."""
    seen = {"ratio": [], "bad ratio": [], "norm": [], "policy norm": []}
    return trained(agent, batch, settings, minibatches, seen)


def trained(agent, batch, settings, minibatches, seen):
    """Take all steps; note down ratios and gradient norms met on the way."""
    theta, w = agent["policy"].copy(), agent["value_network"].copy()
    observations, taken = batch["observations"], batch["actions"]
    a = batch["advantages"]
    advantages = (a - a.mean()) / (np.sqrt(np.mean((a - a.mean()) ** 2)) + 1e-8)
    epsilon = settings["clip_range"]
    old = [softmax(x @ theta)[action] for x, action in zip(observations, taken, strict=True)]
    for index in (index for epoch in minibatches for index in epoch):
        slope, value_slope = np.zeros_like(theta), np.zeros_like(w)
        for i in index:
            x, p = observations[i], softmax(observations[i] @ theta)
            chosen = np.eye(len(p))[taken[i]]
            ratio, advantage = p[taken[i]] / old[i], advantages[i]
            gone = ratio > 1 + epsilon if advantage > 0 else ratio < 1 - epsilon
            entropy = -(p * np.log(p)).sum()
            by_logits = -(0.0 if gone else ratio * advantage) * (chosen - p)
            by_logits += settings["entropy_coef"] * p * (np.log(p) + entropy)
            slope += np.outer(x, by_logits) / len(index)
            error = x @ w - batch["value_targets"][i]
            value_slope += settings["value_coef"] * error * x / len(index)
            seen["ratio"].append(ratio)
            seen["bad ratio"].append(0.0 if gone else ratio)
        norm = np.sqrt((slope**2).sum() + (value_slope**2).sum())
        seen["norm"].append(norm)
        seen["policy norm"].append(np.sqrt((slope**2).sum()))
        scale = min(1.0, settings["max_grad_norm"] / (norm + 1e-6))  # 1e-6 as torch has it
        theta -= agent["learning_rate"] * scale * slope
        w -= agent["learning_rate"] * scale * value_slope
    return theta, w


def softmax(logits):
    """Return the probabilities of all actions in one state."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def variant(
    agent, batch, settings, minibatches, *, zero="each", old="once", advantages="rollout",
    objective="clipped", policy_sign=-1.0, average="mean", entropy="bonus", critic="half",
    clip="together", step="minibatch", retain=False,
):  # fmt: skip
    """Update with torch's help, with options that commit mistakes."""
    import torch

    def log_probs(index):
        return agent.policy(batch.observations[index]).log_prob(batch.actions[index])

    def normalised(x, ddof=0, epsilon=1e-8, under_the_root=0.0, centred=True):
        deviation = (x.var(correction=ddof) + under_the_root).sqrt()
        return (x - x.mean() if centred else x) / (deviation + epsilon)

    everything = torch.arange(len(batch.advantages))
    remembered = log_probs(everything)
    if old != "graph":
        remembered = remembered.detach()
    all_values = agent.value_network(batch.observations)
    epochs = {
        "whole rollout": [[everything] for _ in minibatches],
        "first epoch": minibatches[:1],
        "last minibatch": [epoch[-1:] for epoch in minibatches],
        "slices": [everything.split([len(i) for i in epoch]) for epoch in minibatches],
        "slices by own length": [
            [torch.arange(k * len(i), (k + 1) * len(i)) for k, i in enumerate(epoch)]
            for epoch in minibatches
        ],
    }.get(step, minibatches)
    for epoch in epochs:
        if old == "each epoch":
            remembered = log_probs(everything).detach()
        for number, index in enumerate(epoch):
            new = agent.policy(batch.observations[index])
            before = log_probs(index).detach() if old == "each step" else remembered[index]
            ratio = (new.log_prob(batch.actions[index]) - before).exp()
            weights = {
                "rollout": lambda i=index: normalised(batch.advantages)[i],
                "minibatch": lambda i=index: normalised(batch.advantages[i]),
                "raw": lambda i=index: batch.advantages[i],
                "sample": lambda i=index: normalised(batch.advantages, ddof=1)[i],
                "epsilon under the root": lambda i=index: normalised(
                    batch.advantages, epsilon=0.0, under_the_root=1e-8
                )[i],
                "mean kept": lambda i=index: normalised(batch.advantages, centred=False)[i],
                "no epsilon": lambda i=index: normalised(batch.advantages, epsilon=0.0)[i],
            }[advantages]()
            low, high = 1 - settings.clip_range, 1 + settings.clip_range
            free, clipped = ratio * weights, ratio.clamp(low, high) * weights
            gain = {
                "clipped": torch.minimum(free, clipped),
                "free": free,
                "clipped only": clipped,
                "smaller ratio": torch.minimum(ratio, ratio.clamp(low, high)) * weights,
            }[objective]
            values = agent.value_network(batch.observations[index])
            if critic == "computed once":
                values = all_values[index]
            errors = (values - batch.value_targets[index]) ** 2
            bound = settings.clip_range
            if critic == "clamped":
                errors = (values.clamp(-bound, bound) - batch.value_targets[index]) ** 2
            if critic == "held":
                started = all_values.detach()[index]
                held = started + (values - started).clamp(-bound, bound)
                errors = torch.maximum(errors, (held - batch.value_targets[index]) ** 2)
            if critic in ("huber", "half huber"):
                errors = (2 if critic == "huber" else 1) * torch.nn.functional.smooth_l1_loss(
                    values, batch.value_targets[index], reduction="none"
                )
            add = (lambda x: x.sum()) if average == "sum" else (lambda x: x.mean())
            value_factor = {
                "whole": settings.value_coef,
                "coefficient ignored": 0.5,
                "missing": 0.0,
            }.get(critic, 0.5 * settings.value_coef)
            entropy_factor = {"cost": 1.0, "missing": 0.0}.get(entropy, -1.0)
            loss = policy_sign * add(gain) + value_factor * add(errors)
            entropies = new.entropy()
            if entropy == "whole rollout":
                entropies = agent.policy(batch.observations).entropy()
            bonus = entropies.sum() if entropy == "sum" else add(entropies)
            loss = loss + entropy_factor * settings.entropy_coef * bonus
            starts = zero == "each" and (step != "epoch" or number == 0)
            if starts:
                agent.optimizer.zero_grad()
            loss.backward(retain_graph=retain)
            if step == "epoch" and number < len(epoch) - 1:
                continue
            clip_gradients(agent.parameters(), settings.max_grad_norm, clip)
            agent.optimizer.step()


def clip_gradients(parameters, bound, clip):
    """Scale gradients down, or commit a mistake with them."""
    import torch

    utils = torch.nn.utils
    if clip == "together":
        utils.clip_grad_norm_(parameters, bound)
    elif clip == "apart":
        for parameter in parameters:
            utils.clip_grad_norm_([parameter], bound)
    elif clip == "entries":
        utils.clip_grad_value_(parameters, bound)


def untouched(agent, batch, settings, minibatches):
    """Change nothing."""


# Mistakes given as functions are not tried in pairs: with all pairs, a wrong answer would wait long.
MISTAKES = catalogue(
    """
    nothing_changes: untouched
        All weights are as they were before the update: no step reaches them. Is the optimiser's
        step called, and after the gradients exist?
    gradients_accumulate: zero="never"
        Your gradients add up from step to step. The first probe, with a single step, is right. An
        optimiser does not forget a gradient by itself: backward adds to what is there.
    old_log_probs_of_every_step: old="each step"
        Your old log-probabilities are those of the network as it is in the same step, so the ratio
        is always 1 and nothing is ever clipped. Old means: before the whole update. The first probe
        is right, because its only step starts there.
    old_log_probs_of_every_epoch: variant(old="each epoch")
        You take the old log-probabilities anew in each epoch. The clip range is then one around a
        policy that moves, and the update can go as far as it likes. Probes with one epoch are
        right.
    advantages_not_normalised: advantages="raw"
        You use the advantages as they come. They should have mean 0 and standard deviation 1 over
        the rollout first. The value network's weights are right wherever no gradient is clipped.
    advantages_normalised_per_minibatch: advantages="minibatch"
        You normalise the advantages of each minibatch by themselves. The contract asks for the mean
        and the standard deviation of the whole rollout. The first probe, with one minibatch, is
        right.
    sample_deviation: advantages="sample"
        Your standard deviation divides by the number of samples minus one, which is torch's
        default. The contract divides by the number of samples. The policy's steps are all a little
        too short.
    no_epsilon: advantages="no epsilon"
        Nothing is added to your standard deviation. The probe whose advantages are about 1e-8 shows
        it: there the small number in the divisor decides, and where all advantages are equal it
        keeps you from dividing 0 by 0.
    not_clipped: objective="free"
        Your ratios are not clipped: with one step the update is right, with several epochs the
        policy goes too far. See the third probe.
    no_minimum: variant(objective="clipped only")
        You use the clipped term alone, without the minimum. Steps that went too far the wrong way
        have no gradient then and are never corrected. With one step nothing shows.
    policy_loss_sign: variant(policy_sign=1.0)
        Your policy moves the wrong way: actions with a positive advantage become less likely. The
        optimiser makes the loss smaller, and the surrogate should grow.
    entropy_sign: entropy="cost"
        Your entropy term has the wrong sign: the update makes the policy less random. A bonus is
        what is maximised, and the optimiser minimises.
    entropy_missing: entropy="missing"
        There is no entropy bonus in your loss. The value network's weights are right wherever no
        gradient is clipped; the policy's are a little off everywhere.
    value_loss_not_halved: critic="whole"
        Your value loss is twice as large as it should be: the contract has half the mean squared
        error. In the first probe, the value network's step is twice too long.
    value_loss_missing: variant(critic="missing")
        Your value network keeps its weights: the loss that you step on does not hold the value
        loss.
    value_coef_ignored: critic="coefficient ignored"
        The value loss enters with full weight: `value_coef` has no effect. In the first probe,
        compare the step of the value network's weights with the right one.
    sum_for_mean: variant(average="sum")
        Your losses are sums over the minibatch. Your steps are too long by the number of samples,
        except where the clipped norm hides it.
    gradient_not_clipped: clip="never"
        The norm of the gradient is not clipped. Probes where it is below the bound are right.
        Between which two calls do the gradients exist and still matter?
    clipped_apart: variant(clip="apart")
        You clip each parameter, or each network, by itself. The norm is that of all parameters
        together, so that all are scaled by one factor and the direction stays.
    entries_clipped: variant(clip="entries")
        You clip every entry of the gradient by itself. That changes its direction. Clipping the
        norm keeps the direction and shortens the whole.
    one_step_per_epoch: variant(step="epoch")
        You take one step per epoch: the gradients of its minibatches are added up first. Every
        minibatch is followed by a step of its own. Probes with one minibatch per epoch are right.
    only_the_last_minibatch: variant(step="last minibatch")
        Only the last minibatch of each epoch makes a step. Probes with one minibatch per epoch are
        right. Look at the indentation: which lines belong to the inner loop?
    minibatches_ignored: variant(step="whole rollout")
        Each of your epochs is one step on the whole rollout. The index tensors say which samples
        belong to a step. Probes with one minibatch per epoch are right.
    one_epoch: variant(step="first epoch")
        You stop after the first epoch. Probes with one epoch are right. Does a `return` or a
        `break` stand too far to the right, or is there one loop too few?
    old_log_probs_with_graph: variant(old="graph")
        Your old log-probabilities still carry their graph, so the gradients of numerator and
        denominator cancel in the first step, and the second one fails: torch has freed that graph.
        Do not retain it. The old policy is data. What leaves the graph?
    old_log_probs_with_retained_graph: variant(old="graph", retain=True)
        Your old log-probabilities still carry their graph, so the gradients of numerator and
        denominator cancel in the first step. Retaining the graph, as torch's message advises, only
        hides the cause. The old policy is data. What leaves the graph?
    computed_once_with_graph: variant(critic="computed once")
        Probes with a single step are right; in the others a backward call meets a graph that torch
        has freed after the one before. Something that the loss needs, such as the values, is
        computed once before the loops. The networks change with every step.
    mean_kept: variant(advantages="mean kept")
        You divide the advantages by their standard deviation but do not subtract their mean.
        Normalised advantages have mean 0: about half of the actions become less likely.
    epsilon_under_the_root: variant(advantages="epsilon under the root")
        Your 1e-8 is added to the variance, under the root. There it counts as a deviation of 1e-4.
        The contract adds it to the standard deviation itself. See the probe whose advantages are
        about 1e-8.
    smaller_ratio_times_advantage: variant(objective="smaller ratio")
        You take the smaller of the two ratios and multiply by A afterwards. For a negative A the
        smaller ratio gives the larger product. The comparison is one of products. With one step
        nothing shows.
    entropy_summed: variant(entropy="sum")
        Your entropy bonus is too strong by the number of samples: it is a sum over the minibatch,
        where the other two losses are means. The value network's weights are right wherever no
        gradient is clipped.
    entropy_of_the_whole_rollout: variant(entropy="whole rollout")
        Your entropy is the mean over the whole rollout in every step. All means of the loss are
        over the minibatch. Probes with one minibatch per epoch are right.
    consecutive_slices: variant(step="slices")
        Your minibatches have the right sizes but hold neighbouring samples, in the order of the
        rollout. The index tensors say which samples belong to a step; their content is shuffled.
        Probes with one minibatch per epoch are right.
    absolute_errors_beyond_1: variant(critic="huber")
        Large errors of your value network count with their size, not with their square: that is a
        Huber loss. The contract has half the mean squared error, and PPO clips the norm of the
        gradient in its place.
    half_of_absolute_errors_beyond_1: variant(critic="half huber")
        Your value loss is half a Huber loss, which holds a half of its own already. Small errors
        count a quarter of their square, large ones with their size. The contract has half the mean
        squared error.
    values_held: variant(critic="held")
        You hold the values near what they were before the update, as PPO's code does with an
        option. The contract here has the plain squared error. Values that moved less than the clip
        range hide it, as in the first probe.
    values_clamped: variant(critic="clamped")
        You clip the values themselves. The clip range is one for the ratio of probabilities. Values
        are on a scale of their own: most of yours have no gradient.
    slices_by_own_length: variant(step="slices by own length")
        Your minibatches have the right sizes but hold neighbouring samples, counted off by the
        length of each. The index tensors say which samples belong to a step; their content is
        shuffled. Probes with one minibatch per epoch are right.
    """,
    untouched,
    variant,
)

SPEC = Spec(
    name="ppo_update",
    exercise="11_ppo_in_practice",
    parameters=("agent", "batch", "settings", "minibatches"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    harness=harness,
    parts=("weight matrix of the policy", "weight vector of the value network"),
    rows="feature",
)
