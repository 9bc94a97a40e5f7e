"""Being stopped from outside: Ctrl-C and the terminate signal of a batch system are one thing.

A signal sets a flag, which decides whether the program stops. In addition a `KeyboardInterrupt` is raised where the program
may be interrupted (inside a task, while modules are imported), again and again until it arrives: an exception that is raised
inside a callback, such as that of JAX after a garbage collection, is dropped by the interpreter. A second signal, or code
that does not return for PATIENCE seconds, ends the process at once; records are written whole, so nothing that is finished is
lost.
"""

import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

STATUS = 130
"""Exit status of a program that was stopped."""
PATIENCE = 10.0
"""Seconds between the first signal and the end of a process that does not react."""
_AGAIN = 0.2
"""Seconds between two attempts to interrupt."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NUDGE = signal.SIGURG
"""Sent to the main thread by the watching one: it does nothing in programs that do not listen for it."""


class Stop:
    """Whether a signal came, and whether the main thread may be interrupted by an exception now."""

    def __init__(self, interruptible: bool) -> None:
        self.signal: int | None = None
        self.interruptible = interruptible
        self.last_words: Callable[[], None] = lambda: None
        """Called before a process that does not react is ended."""

    @contextmanager
    def may_interrupt(self, value: bool) -> Iterator[None]:
        """Within the block an exception may, or may not, be raised at any place.

        Raises
        ------
        KeyboardInterrupt
            A signal came before, and the block, or what follows it, may be interrupted.
        """
        before = self.interruptible
        try:
            self.interruptible = value
            if value and self.signal is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self.interruptible = before and self.signal is None  # whoever is being stopped is not interrupted on its way out
        if before and self.signal is not None:
            raise KeyboardInterrupt

    def noted(self, number: int, _frame: object = None) -> None:
        """The handler of the signals, called in the main thread."""
        if number != _NUDGE and self.signal is None:
            self.signal = number
        if self.signal is not None and self.interruptible:
            raise KeyboardInterrupt


class NeverStopped(Stop):
    """Outside the main thread no signal arrives."""

    def __init__(self) -> None:
        super().__init__(False)


def heeded() -> None:
    """Called by code that caught the interruption and ends the program: nothing is interrupted any more."""
    if _active is not None:
        _active.interruptible = False


_active: Stop | None = None


@contextmanager
def stoppable(interruptible: bool, last: bool = False) -> Iterator[Stop]:
    """Signals are handled within the block. Blocks within each other share one stop; the inner one sets what is
    interruptible.

    ``last``: after the block the process ends, and a further signal ends it at once.
    """
    global _active
    if threading.current_thread() is not threading.main_thread():
        yield NeverStopped()
        return
    if _active is not None:
        outer, words = _active, _active.last_words
        try:
            with outer.may_interrupt(interruptible):
                yield outer
        finally:
            outer.last_words = words
        return
    stop = Stop(interruptible)
    read, write = os.pipe()
    os.set_blocking(write, False)
    hook, sys.unraisablehook = sys.unraisablehook, lambda caught: _unraisable(stop, hook, caught)
    before = {number: signal.signal(number, stop.noted) or signal.SIG_DFL for number in (*_SIGNALS, _NUDGE)}
    old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(stop, read, threading.get_ident()), daemon=True)
    watcher.start()
    _active = stop
    try:
        yield stop
    finally:
        stop.interruptible, _active = False, None
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, (lambda *_: os._exit(STATUS)) if last and number in _SIGNALS else handler)
        sys.unraisablehook = hook
        os.close(write)
        watcher.join()
        os.close(read)


def _unraisable(stop: Stop, hook: Callable[[Any], Any], caught: Any) -> None:
    """An interruption that got lost in a callback is repeated, and needs no message."""
    if stop.signal is None or not isinstance(caught.exc_value, KeyboardInterrupt):
        hook(caught)


def _watch(stop: Stop, pipe: int, main: int) -> None:
    """Until the pipe is closed: count signals, repeat the interruption, and end the process on the second one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    count, waited = 0, 0.0
    while True:
        ready, _, _ = select.select([pipe], [], [], _AGAIN if count else None)
        if ready:
            content = os.read(pipe, 1024)
            if not content:
                return
            count += sum(number in _SIGNALS for number in content)
            late = any(number != _NUDGE for number in content)  # the system may have given it to a thread that runs no handlers
        else:
            waited, late = waited + _AGAIN if stop.interruptible else 0.0, count > 0 and stop.interruptible
        if count > 1 or waited > PATIENCE:
            leave(stop)
        if late:
            with suppress(ProcessLookupError):
                signal.pthread_kill(main, _NUDGE)


def leave(stop: Stop) -> None:
    """End this process and its children now."""
    with suppress(Exception):
        for child in multiprocessing.active_children():
            child.kill()
    for last in (stop.last_words, sys.stdout.flush, sys.stderr.flush):
        with suppress(Exception):
            last()
    os._exit(STATUS)
