"""The command line: ``python -m course_lib train --algo trpo --env CartPoleSwingUp-v0 --seed 0``."""

import argparse
import ast
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym

from .algorithms import ALGORITHMS
from .algorithms.presets import PRESETS
from .algorithms.settings import Settings
from .training.evaluation import evaluate
from .training.train import History, resume, train

DEFAULT_STEPS = {"CartPole-v1": 100_000, "CartPoleSwingUp-v0": 500_000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 if a run failed; wrong usage exits with 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        history = _resume(options) if options.command == "resume" else _train(options, parser)
    except KeyboardInterrupt:
        print("interrupted; the last checkpoint is kept", file=sys.stderr)
        return 1
    except (ValueError, OSError, RuntimeError, FloatingPointError, gym.error.Error) as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        print(f"error: {kind}{error}", file=sys.stderr)
        return 1
    _report(history, Path(options.out), options.quiet)
    return 0


def settings_with(settings: Settings, changes: Sequence[str]) -> Settings:
    """Settings with some of them changed, each given as ``name=value``.

    Raises
    ------
    ValueError
        If a name is unknown, a value cannot be read, or is out of range.
    """
    known = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    values = {}
    for change in changes:
        name, separator, text = change.partition("=")
        if not separator:
            raise ValueError(f"--set needs name=value, not {change!r}")
        if name not in known:
            raise ValueError(
                f"{type(settings).__name__} has no {name!r}; there are: {', '.join(known)}"
            )
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text  # a word, such as relu
        _check_type(name, values[name], known[name])
    return dataclasses.replace(settings, **values)


def _check_type(name: str, value: object, current: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(current, bool):
        fits = isinstance(value, bool)
    elif isinstance(current, int):
        fits = number and isinstance(value, int)
    elif isinstance(current, float):
        fits = number
    elif current is None:  # an optional number that is off
        fits = number or value is None
    else:
        fits = isinstance(value, type(current))
    optional = value is None and isinstance(current, float)  # switched off; validated later
    if not (fits or optional):
        raise ValueError(f"{name} is {current!r} by default; {value!r} is not of that kind")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("train", help="train an agent and keep history and checkpoint")
    new.add_argument("--algo", required=True, choices=list(ALGORITHMS), help="the algorithm")
    new.add_argument("--env", required=True, metavar="ID", help="Gymnasium id")
    new.add_argument("--seed", type=int, default=0, help="decides everything random (default 0)")
    new.add_argument("--steps", type=int, help="environment steps (default: by environment)")
    new.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the preset, for instance --set gamma=0.9; may be repeated",
    )
    new.add_argument("--checkpoint-every", type=int, default=10, metavar="UPDATES")
    new.add_argument("--out", metavar="DIR", help="default: runs/ALGO-ENV-SEED")
    old = commands.add_parser("resume", help="go on with an interrupted run")
    old.add_argument("out", metavar="DIR", help="where train kept it")
    old.add_argument("--checkpoint-every", type=int, default=10, metavar="UPDATES")
    for command in (new, old):
        command.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    return parser


def _train(options: argparse.Namespace, parser: argparse.ArgumentParser) -> History:
    settings = PRESETS.get((options.algo, options.env))
    if settings is None:
        settings = ALGORITHMS[options.algo][0]()
        if not options.quiet:
            print(f"no preset for {options.algo} on {options.env}: the algorithm's defaults")
    settings = settings_with(settings, options.set)
    options.out = options.out or f"runs/{options.algo}-{options.env}-{options.seed}"
    if options.seed < 0:
        parser.error(f"--seed must not be negative, not {options.seed}")
    return train(
        options.env,
        settings,
        DEFAULT_STEPS.get(options.env, 1_000_000) if options.steps is None else options.steps,
        options.seed,
        progress=not options.quiet,
        checkpoint_dir=options.out,
        checkpoint_every=options.checkpoint_every,
    )


def _resume(options: argparse.Namespace) -> History:
    return resume(
        options.out, progress=not options.quiet, checkpoint_every=options.checkpoint_every
    )


def _report(history: History, out: Path, quiet: bool) -> None:
    history.updates.to_csv(out / "updates.csv", index=False)
    history.episodes.to_csv(out / "episodes.csv", index=False)
    if quiet:
        return
    returns = evaluate(history.agent, history.env_id, episodes=20, seed=history.seed)
    print(
        f"{history.env_id}: mean return {returns.mean():.1f} over 20 deterministic episodes "
        f"(worst {returns.min():.1f}), after {history.updates['step'].iloc[-1]:,} steps\n"
        f"history and checkpoint are in {out}"
    )


if __name__ == "__main__":
    sys.exit(main())
