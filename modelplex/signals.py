"""A second signal, while the first is still being obeyed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def on_second_signal(
    reactor: Any,
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """
    What `ModelplexService` wants as `while_draining`, for a running process.

    While it drains, SIGINT and SIGTERM call the given function in the reactor instead
    of asking the reactor to stop, which it would refuse: it is stopping already.
    """

    def draining(cut: Callable[[], None]) -> Callable[[], None]:
        def second(_number: int, _frame: FrameType | None) -> None:
            reactor.callFromThread(cut)

        before = {one: signal.signal(one, second) for one in _STOPPING}

        def ended() -> None:
            for one, previous in before.items():
                signal.signal(one, previous)

        return ended

    return draining
