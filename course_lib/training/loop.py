"""The training loop: collect, estimate advantages, update; the same for every algorithm."""

import contextlib
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

from ..algorithms.agent import Agent
from ..experience.rollout import EnvironmentFailedError
from .evaluation import UnfinishedEpisodesError, evaluate
from .interrupts import StoppedBySignalError, StopRequest, deferred_stops
from .keeper import Keeper
from .run import Run

#: Called as ``callback(step, agent)``; a true answer ends the run.
Callback = Callable[[int, Agent], Any]


def advance_to_the_end(
    run: Run,
    keeper: Keeper,
    progress: bool,
    callback: Callback | None,
    checkpoint_every: int,
    at_the_start: bool = False,
) -> None:
    """Update by update, saving on the way and on every way out.

    Parameters
    ----------
    run : Run
    keeper : Keeper
        Its ``run`` is this one, and has been noted.
    progress, callback, checkpoint_every
        See `train.train`.
    at_the_start : bool
        Ask the callback before the first update too.

    Raises
    ------
    StoppedBySignalError
        If a signal asked for an end; all that was done is saved.
    Exception
        What ends a run otherwise. Its message, or its note, says what is kept.
    """
    # tqdm's notebook form does not look at its own environment variable.
    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))
    started = time.perf_counter() - run.seconds
    first, reached = run.updates_done, run.step
    with (
        deferred_stops(keeper.directory is not None) as stop,
        tqdm(
            desc=f"{run.env_id} seed {run.seed}",
            initial=first,
            total=run.n_updates,
            disable=hidden,
        ) as bar,
    ):
        try:
            stopped = at_the_start and _says_stop(callback, run)
            while run.updates_done < run.n_updates and not stopped:
                _require_going_on(stop, run)
                reached = run.step + run.rollout_steps  # an error in here is of this update
                run.advance()
                _evaluate_if_due(run, keeper)
                run.seconds = time.perf_counter() - started
                run.rows[-1]["seconds"] = run.seconds
                keeper.note()
                if run.updates_done % checkpoint_every == 0:
                    keeper.save()
                bar.update()
                mean_return = run.rows[-1]["mean_return"]
                bar.set_postfix_str(f"mean return {mean_return:.1f}", refresh=False)
                stopped = _says_stop(callback, run)
            keeper.save(tables=True)
            _require_going_on(stop, run)
        except BaseException as error:
            _explain(error, reached, keeper.save_what_can_be_saved())
            raise


def _says_stop(callback: Callback | None, run: Run) -> bool:
    if callback is None:
        return False
    answer = callback(run.step, run.agent)
    try:
        return bool(answer)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"the callback must return something that is true or false, not {answer!r}"
        ) from error


def _require_going_on(stop: StopRequest, run: Run) -> None:
    if stop.signal is not None:
        raise StoppedBySignalError(f"stopped after {run.step:,} steps", stop.signal)


def _evaluate_if_due(run: Run, keeper: Keeper) -> None:
    if run.evaluate_every is None or run.updates_done % run.evaluate_every:
        return
    try:
        returns = evaluate(
            run.agent,
            run.env,
            run.evaluation_episodes,
            run.evaluation_seed,
            env_kwargs=run.env_kwargs,
        )
    except UnfinishedEpisodesError as error:  # no reason to end the training
        warnings.warn(f"not evaluated after {run.step:,} steps: {error}", stacklevel=2)
        return
    run.rows[-1]["evaluation"] = returns.mean()
    keeper.offer_best(run.agent, float(returns.mean()))


def _explain(error: BaseException, step: int, kept_words: str) -> None:
    """Say in an error's own message when it stopped the run and what is kept."""
    kinds = (FloatingPointError, EnvironmentFailedError, ValueError)
    words = f" ({kept_words})" if kept_words else ""
    told = None
    if isinstance(error, kinds):
        with contextlib.suppress(TypeError):  # some errors are made of more than a message
            told = type(error)(f"training stopped by step {step}: {error}{words}")
    if told is not None:
        raise told from error
    if kept_words:
        error.add_note(kept_words)
