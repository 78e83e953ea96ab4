"""Ctrl-C and the system's requests to end, kept until the run is at a point that can be saved."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


class StoppedBySignalError(KeyboardInterrupt):
    """The run was asked to end by a signal, and ended after a whole update.

    Attributes
    ----------
    signal : int
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number

    def __reduce__(self) -> tuple:
        # Exceptions are made again from their message alone, unless they say otherwise.
        return type(self), (self.args[0], self.signal), self.__dict__


class StopRequest:
    """Which signal asked for an end, if one did."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signals' handler; a second signal does not wait."""
        name = signal.Signals(number).name
        if self.signal is not None:
            raise StoppedBySignalError(f"stopped at once by {name}", number)
        self.signal = number
        print(
            f"\n{name}: stopping after this update; once more stops at once",
            file=sys.stderr,
            flush=True,
        )


@contextlib.contextmanager
def deferred_stops(enabled: bool) -> Iterator[StopRequest]:
    """While this is in force, the first Ctrl-C (or SIGTERM, SIGHUP) only sets a mark.

    Only in the main thread, and only for signals that nobody else handles or ignores.
    """
    request = StopRequest()
    before = {}
    if enabled and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            unclaimed = (signal.SIG_DFL, signal.default_int_handler)
            if number is not None and signal.getsignal(number) in unclaimed:
                before[number] = signal.signal(number, request)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
