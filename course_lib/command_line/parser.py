"""What the command line understands, and how it says that it does not."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import __version__
from ..algorithms import ALGORITHMS
from ..kinds import Count, Natural, read

PROGRAM = "python -m course_lib"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest right word, the usage once, and what to do."""

    def error(self, message: str) -> NoReturn:
        """Print and exit with status 2."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice is not None:
            known = re.findall(r"[\w-]+", choice[2])
            message = message[: choice.start()] + unknown(choice[1], known)
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\n{self.prog} --help says more\n")

    def error_of_unknown(self, arguments: Sequence[str]) -> NoReturn:
        """Exit over arguments that nobody asked for."""
        known = [name for action in self._actions for name in action.option_strings]
        word = arguments[0].partition("=")[0]
        near = nearest(word, known) if word.startswith("-") else ""
        self.error(f"unrecognized argument: {word}{near}")


def nearest(word: str, known: Sequence[str]) -> str:
    """The nearest of some words, as a question to append; empty if none is near."""
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown(word: str, known: Sequence[str]) -> str:
    """What to say of a word that is not among the known ones."""
    return f"invalid choice: {word!r}{nearest(word, known)}; there are: {', '.join(known)}"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments of the command line; wrong ones end the process with status 2."""
    parser, commands = _parsers()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None and not options.list:
        parser.error("say what to do: " + ", ".join(commands))
    if rest:
        commands.get(options.command, parser).error_of_unknown(rest)
    return options


def _number(kind: Any) -> Callable[[str], int]:
    """A converter for argparse: 100000, 100_000 and 1e5 are the same."""

    def convert(text: str) -> int:
        try:
            return read("", text, kind)
        except ValueError as error:
            words = str(error).strip()
            hint = "; write for instance 100000, 100_000 or 1e5" if "integer" in words else ""
            raise argparse.ArgumentTypeError(words + hint) from None

    return convert


def _algorithm(text: str) -> str:
    if text not in ALGORITHMS:
        raise argparse.ArgumentTypeError(unknown(text, list(ALGORITHMS)))
    return text


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND ... | --list | --version",
        description="Train, resume, evaluate, film and plot agents; run studies.",
    )
    parser.add_argument("--version", action="version", version=f"course-lib {__version__}")
    parser.add_argument(
        "--list", action="store_true", help="algorithms, and presets by environment"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, usage: str, summary: str) -> Parser:
        command = commands.add_parser(
            name,
            prog=f"{PROGRAM} {name}",
            usage=f"{PROGRAM} {name} {usage}",
            help=summary,
            description=f"{summary}.",
        )
        command.add_argument(
            "--traceback", action="store_true", help="show where an error arose, for authors"
        )
        return command

    new = add(
        "train", "--algo NAME --env ID [options]", "train an agent, and keep its run in a folder"
    )
    new.add_argument(
        "--algo", required=True, type=_algorithm, metavar="NAME", help=", ".join(ALGORITHMS)
    )
    new.add_argument(
        "--env", required=True, metavar="ID", help="Gymnasium id, or module:ID for one of your own"
    )
    new.add_argument(
        "--env-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the environment; may be repeated",
    )
    new.add_argument(
        "--seed", type=_number(Natural), default=0, help="decides everything random (default 0)"
    )
    new.add_argument(
        "--steps", type=_number(Count), help="environment steps (default: by environment)"
    )
    new.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, for instance --set gamma=0.9; may be repeated",
    )
    new.add_argument(
        "--evaluate-every",
        type=_number(Count),
        metavar="UPDATES",
        help="evaluate in between, and keep the best agent in DIR/best (default: never)",
    )
    new.add_argument("--out", metavar="DIR", help="default: runs/ALGO-ENV-SEED")

    old = add("resume", "DIR [options]", "go on with a run that was interrupted, or has ended")
    old.add_argument(
        "--steps", type=_number(Count), help="a new total of steps; a finished run goes on to it"
    )
    old.add_argument(
        "--fresh-episodes",
        action="store_true",
        help="begin new episodes, where the running ones cannot be repeated: not bit-exact",
    )
    for command in (new, old):
        command.add_argument(
            "--checkpoint-every", type=_number(Count), default=10, metavar="UPDATES"
        )
        command.add_argument("--quiet", action="store_true", help="no progress bar, no report")

    judge = add("evaluate", "DIR [options]", "returns of a run's agent over fresh episodes")
    judge.add_argument("--episodes", type=_number(Count), default=20, help="how many (default 20)")
    movie = add("film", "DIR [--out x.gif] [options]", "film an episode of a run's agent")
    movie.add_argument("--out", metavar="FILE", help="default: DIR/film.gif")
    movie.add_argument("--max-steps", type=_number(Count), default=500, help="default: 500")
    for command in (judge, movie):
        command.add_argument("--seed", type=_number(Natural), default=0, help="default: 0")
        command.add_argument(
            "--best", action="store_true", help="the agent of the best evaluation, not the last"
        )
        command.add_argument(
            "--sampled", action="store_true", help="draw actions instead of taking the likeliest"
        )
    picture = add("plot", "DIR [DIR ...] [--out x.png]", "plot the training returns of runs")
    picture.add_argument("--out", metavar="FILE", help="default: returns.png in the first DIR")
    many_runs = add(
        "study", "FILE [options]", "run what is missing of a study, or of a smaller version of it"
    )
    many_runs.add_argument("file", metavar="FILE", help="a study.toml")
    many_runs.add_argument("--seeds", type=_number(Count), help="only so many seeds of each arm")
    many_runs.add_argument("--steps", type=_number(Count), help="at most so many steps of each run")
    many_runs.add_argument(
        "--arm", action="append", metavar="NAME", help="only this arm; may be repeated"
    )
    many_runs.add_argument(
        "--processes", type=_number(Count), default=2, help="runs at the same time (default 2)"
    )
    many_runs.add_argument(
        "--dask", metavar="ADDRESS", help="a Dask scheduler's, to use its workers"
    )
    many_runs.add_argument(
        "--out", metavar="DIR", help="default: runs/ beside FILE; of a smaller version, below runs/"
    )
    many_runs.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    for name, command in commands.choices.items():
        if name not in ("train", "study"):
            many: dict[str, Any] = {"nargs": "+"} if name == "plot" else {}
            command.add_argument(
                "directory", metavar="DIR", help="where train kept the run", **many
            )
    return parser, dict(commands.choices)
