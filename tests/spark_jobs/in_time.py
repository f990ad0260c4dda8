"""Actions that must end soon: where the code is wrong they wait for ever, and the test must still say so."""

import threading
import time
from collections.abc import Callable

SOON_S = 4.0


def in_time(*actions: Callable[[], object]) -> None:
    """Run each in a thread of its own until all have ended.

    Raises:
        AssertionError: one was still waiting after SOON_S.
        BaseException: the first one that an action raised.
    """
    errors: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + SOON_S
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    for error in errors:
        raise error
    assert not any(thread.is_alive() for thread in threads), f"still waiting after {SOON_S:g} s"
