"""What each command does."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..algorithms import ALGORITHMS
from ..algorithms.agent import Agent
from ..algorithms.presets import PRESETS, default_settings
from ..algorithms.settings import Settings, changed
from ..kinds import literal
from ..training.agents import load_agent
from ..training.checkpoint import has_checkpoint
from ..training.environment import restored
from ..training.evaluation import evaluate
from ..training.history import History
from ..training.keeper import BEST
from ..training.train import is_finished, load_history, load_run, resume, train

#: Steps of a run where none are asked for.
DEFAULT_STEPS = {"CartPole-v1": 100_000, "CartPoleSwingUp-v0": 500_000}
OTHER_STEPS = 1_000_000


def settings_with(settings: Settings, changes: Sequence[str]) -> Settings:
    """Settings with some of them changed, each given as ``name=value``.

    Raises
    ------
    ValueError
        If a name is unknown, a value cannot be read, or is out of range.
    """
    return changed(settings, dict(_pair(change, "--set") for change in changes))


def default_folder(algorithm: str, env_id: str, seed: int) -> Path:
    """Where a run is kept unless it is said: a name that every system allows."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{algorithm}-{env_id}-{seed}")
    return Path("runs") / name[-150:]


def list_presets() -> None:
    """Print the algorithms, and which of them have a preset for which environment."""
    print(f"algorithms: {', '.join(ALGORITHMS)}\n\nenvironments with presets:")
    for env_id in dict.fromkeys(env_id for _, env_id in PRESETS):
        names = ", ".join(name for name, env in PRESETS if env == env_id)
        steps = DEFAULT_STEPS.get(env_id, OTHER_STEPS)
        print(f"  {env_id:<28}{names:<16}{steps:>12,} steps by default")
    print("\nAny other environment with flat observations starts from defaults.")


def run_train(options: argparse.Namespace) -> None:
    """Train from scratch."""
    settings = PRESETS.get((options.algo, options.env))
    if settings is None:
        settings = default_settings(options.algo)
        if not options.quiet:
            print(
                f"no preset for {options.algo} on {options.env}: the algorithm's defaults, with "
                "observations and rewards normalised and rewards clipped to "
                f"+-{settings.reward_clip:g}"
            )
    settings = settings_with(settings, options.set)
    options.directory = Path(options.out or default_folder(options.algo, options.env, options.seed))
    env_kwargs = dict(_pair(change, "--env-arg") for change in options.env_arg)
    history = train(
        options.env,
        settings,
        options.steps or DEFAULT_STEPS.get(options.env, OTHER_STEPS),
        options.seed,
        progress=not options.quiet,
        env_kwargs={name: literal(text) for name, text in env_kwargs.items()} or None,
        checkpoint_dir=options.directory,
        checkpoint_every=options.checkpoint_every,
        evaluate_every=options.evaluate_every,
    )
    _report(history, options)


def run_resume(options: argparse.Namespace) -> None:
    """Go on with a run."""
    if not options.quiet:
        if is_finished(options.directory) and options.steps is None:
            print("the run has reached its end; --steps N goes on to a new total")
        elif options.fresh_episodes:
            print("fresh episodes: the run goes on, but not bit for bit as it would have")
    history = resume(
        options.directory,
        progress=not options.quiet,
        total_steps=options.steps,
        fresh_episodes=options.fresh_episodes,
        checkpoint_every=options.checkpoint_every,
    )
    _report(history, options)


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the returns of an agent over fresh episodes."""
    agent, env, env_kwargs, name = _agent_and_environment(options)
    returns = evaluate(
        agent,
        env,
        options.episodes,
        options.seed,
        deterministic=not options.sampled,
        env_kwargs=env_kwargs,
    )
    print(_summary(name, returns, "sampled" if options.sampled else "deterministic"))


def run_film(options: argparse.Namespace) -> None:
    """Write a GIF of one episode."""
    from ..show.render import record_episode, save_gif

    out = Path(options.out or Path(options.directory) / "film.gif")
    if out.suffix.lower() != ".gif":
        raise ValueError(f"--out must end in .gif, not {out.name!r}")
    agent, env, env_kwargs, name = _agent_and_environment(options)
    try:
        frames, total = record_episode(
            agent,
            env,
            options.seed,
            options.max_steps,
            deterministic=not options.sampled,
            env_kwargs=env_kwargs,
        )
    except NotImplementedError as error:
        raise ValueError(
            f"{name} cannot be filmed: it has no render method, or none for 'rgb_array'"
        ) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    save_gif(out, frames, fps=30)
    print(f"{name}: {len(frames) - 1} steps with a return of {total:.1f}, in {out}")


def run_plot(options: argparse.Namespace) -> None:
    """Write a figure of training returns."""
    import matplotlib

    matplotlib.use("agg")
    from ..show.plots import plot_returns, use_style

    histories = [load_history(directory) for directory in options.directory]
    for directory, history in zip(options.directory, histories, strict=True):
        if history.episodes.empty:
            raise ValueError(f"no episode has ended in {directory}: there is nothing to plot yet")
    out = Path(options.out or Path(options.directory[0]) / "returns.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    use_style()
    figure = plot_returns(histories)
    figure.suptitle(", ".join(dict.fromkeys(history.env_id for history in histories)))
    figure.savefig(out)
    episodes = sum(len(history.episodes) for history in histories)
    print(f"returns of {episodes:,} episodes, in {out}")


def _agent_and_environment(options: argparse.Namespace) -> tuple[Agent, Any, dict[str, Any], str]:
    run = load_run(options.directory)
    place = Path(options.directory) / BEST if options.best else Path(options.directory)
    if options.best and not has_checkpoint(place):
        raise ValueError(
            f"{options.directory} has no best agent: train with --evaluate-every to keep one"
        )
    env, env_kwargs = restored(run["env"])
    return load_agent(place), env, env_kwargs, run["env_id"]


def _summary(name: str, returns: Any, how: str) -> str:
    return (
        f"{name}: mean return {returns.mean():.1f} over {len(returns)} {how} episodes "
        f"(worst {returns.min():.1f})"
    )


def _report(history: History, options: argparse.Namespace) -> None:
    if options.quiet:
        return
    print(f"history, tables and checkpoint are in {options.directory}")
    steps = history.updates["step"].iloc[-1]
    if history.episodes.empty:
        print(
            f"no episode ended in {steps:,} steps, so it learned from no whole episode: give "
            "the environment a time limit (max_episode_steps), or train for longer"
        )
    env, env_kwargs = restored(load_run(options.directory)["env"])
    try:
        returns = evaluate(history.agent, env, 20, history.seed, env_kwargs=env_kwargs)
    except Exception as error:
        error.add_note(f"training is complete ({steps:,} steps); only its evaluation failed")
        raise
    print(f"{_summary(history.env_id, returns, 'deterministic')}, after {steps:,} steps")


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{option} needs name=value, not {text!r}")
    return name.strip(), value
