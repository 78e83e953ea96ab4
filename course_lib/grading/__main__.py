"""Grade a class: ``python -m course_lib.grading DIR``."""

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from . import specs
from .classroom.gradescope import as_gradescope
from .classroom.junit import as_junit
from .classroom.ledger import Ledger, alone
from .classroom.names import plain_text
from .classroom.reports import as_csv, as_json, as_moodle, write
from .classroom.result import ClassResult
from .classroom.run import grade
from .classroom.summary import summary
from .spec import PUBLIC_SEED

REPORTS: dict[str, tuple[Callable[[ClassResult], str], str]] = {
    "csv": (as_csv, "one row per student and task"),
    "moodle": (as_moodle, "one row per student, as Moodle's offline grading worksheet"),
    "json": (as_json, "everything"),
    "junit": (as_junit, "JUnit XML, with states and mistakes as properties"),
}
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    known = ", ".join(dict.fromkeys(spec.exercise for spec in specs.TASKS))
    options = argparse.ArgumentParser(
        prog="python -m course_lib.grading",
        description="Grade a folder of submissions: one folder per student, or one notebook per "
        "student whose name precedes the exercise's.",
        epilog="The exit status is 0 whenever the grading itself worked.",
    )
    options.add_argument("folder", metavar="DIR", type=Path, help="the submissions")
    for name, (_, text) in REPORTS.items():
        options.add_argument(f"--{name}", metavar="FILE", type=Path, help=f"write {text}")
    options.add_argument(
        "--gradescope",
        metavar="FILE",
        type=Path,
        help="write Gradescope's results.json; DIR is then the folder of one student",
    )
    options.add_argument(
        "--exercise",
        metavar="STEM",
        nargs="+",
        default=[],
        help=f"grade only these, and count them as missing where they are: {known}",
    )
    options.add_argument(
        "--seed",
        type=int,
        default=PUBLIC_SEED,
        help="draw private probes (default: the notebooks' own, %(default)s)",
    )
    options.add_argument("--jobs", metavar="N", type=int, help="processes (default: one per core)")
    options.add_argument(
        "--limit", metavar="SECONDS", type=float, help="a shorter time limit for every function"
    )
    options.add_argument(
        "--verdicts",
        metavar="FILE",
        type=Path,
        help="where finished verdicts are kept (default: DIR.verdicts.jsonl, beside DIR)",
    )
    options.add_argument("--fresh", action="store_true", help="judge everything again")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 if the grading worked, whatever the students wrote; 1 if it did not, 130 if it was
        interrupted. Wrong usage exits with 2.
    """
    command = parser()
    options = command.parse_args(arguments)
    complain = problem_with(options)
    if complain:
        command.error(complain)
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    try:
        with contextlib.closing(Progress()) as progress:
            result = run(options, progress)
    except KeyboardInterrupt:
        kept = "" if options.gradescope else " Finished verdicts are kept: start again to go on."
        print(f"Interrupted.{kept}", file=sys.stderr)
        return INTERRUPTED
    except (OSError, RuntimeError) as error:
        say(f"error: {error}")
        return 1
    encoding = sys.stdout.encoding or "utf-8"
    text = summary(result).encode(encoding, "backslashreplace").decode(encoding)
    print(text, end="", flush=True)
    return int(not write_reports(options, result, time.monotonic() - start))


def say(text: str) -> None:
    """Print a line for the person who started the run, whatever a file's name holds."""
    print(plain_text(text), file=sys.stderr, flush=True)


def problem_with(options: argparse.Namespace) -> str:
    """Say what is wrong with the options, or nothing."""
    known = {spec.exercise for spec in specs.TASKS}
    unknown = [name for name in options.exercise if name not in known]
    if unknown:
        return f"there is no exercise {unknown[0]!r}; there are {', '.join(sorted(known))}"
    if not options.folder.is_dir():
        return f"{options.folder} is no folder"
    place = imports_from(options.folder.resolve())
    if place:
        return (
            f"Python looks for modules in {place}, where students' files are. Start from another "
            "folder, or as `python -P -m course_lib.grading`"
        )
    for name, least in (("jobs", 1), ("limit", 0.01), ("seed", 0)):
        number = getattr(options, name)
        if number is not None and not number >= least:
            return f"--{name} is at least {least}"
    for path in outputs(options):
        if not path.parent.is_dir():
            return f"{path.parent} is no folder, so {path.name} cannot be written there"
    verdicts = options.verdicts
    if verdicts and verdicts.resolve().is_relative_to(options.folder.resolve()):
        return "--verdicts must not lie in DIR: a student could have put it there"
    return ""


def imports_from(folder: Path) -> str:
    """Return a place below a folder from which this process or its children import, if any."""
    places = [path for path in map(Path, sys.path) if not path.is_relative_to(sys.prefix)]
    if not sys.flags.safe_path:
        places.append(Path.cwd())
    return next((str(p) for p in places if p.resolve().is_relative_to(folder)), "")


def outputs(options: argparse.Namespace) -> list[Path]:
    """Return the files that this run writes."""
    names = [*REPORTS, "gradescope", "verdicts"]
    return [getattr(options, name) for name in names if getattr(options, name)]


def run(options: argparse.Namespace, progress: Callable[[int], None]) -> ClassResult:
    """Grade what the options name."""
    folder = options.folder.resolve()
    path = options.verdicts
    if path is None and not options.gradescope:
        path = folder.parent / f"{folder.name}.verdicts.jsonl"
    with alone(path, say):
        ledger = Ledger(path, options.fresh)
        if ledger.damaged:
            say(
                f"Lines of {path} that are damaged or from elsewhere: {ledger.damaged}. They do "
                "not count; what they were about is judged again."
            )
        result = grade(
            options.folder,
            exercises=options.exercise,
            seed=options.seed,
            jobs=options.jobs,
            seconds=options.limit,
            ledger=ledger,
            one_student="submission" if options.gradescope else "",
            ignored=outputs(options),
            progress=progress,
        )
    if ledger.problem:
        say(
            f"Verdicts could not be kept in {path} ({ledger.problem}). The report is complete; the "
            "next run judges again what is not in that file."
        )
    return result


def write_reports(options: argparse.Namespace, result: ClassResult, seconds: float) -> bool:
    """Write the files that the options ask for, as many as can be; tell whether all could."""
    reports = {name: report for name, (report, _) in REPORTS.items()}
    reports["gradescope"] = lambda result: as_gradescope(result, seconds)
    worked = True
    for name, report in reports.items():
        path = getattr(options, name)
        try:
            if path:
                write(path, report(result))
        except OSError as error:
            say(f"error: {path} was not written: {error}")
            worked = False
    return worked


class Progress:
    """A bar on stderr, if that is a terminal: first the number of files, then 1 for each."""

    def __init__(self):
        self.bar = None

    def __call__(self, number: int) -> None:
        if self.bar is None:
            self.bar = tqdm(total=number, desc="judging", unit="file", disable=None)
        else:
            self.bar.update(number)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()


if __name__ == "__main__":
    sys.exit(main())
