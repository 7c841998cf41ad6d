"""
The states of a server's life: idle, starting, ready, backoff, failed, stopped.

Two more are on the way: a process that is of no use is being ended, and one that must
end for good. In each, its end is waited for, so that it never runs twice.
"""

from __future__ import annotations

from collections.abc import Callable

from automat import TypeMachineBuilder, pep614

from modelplex.mcp.life import Life, Lives
from modelplex.tools import ServerState


def _built() -> Callable[[Life], Lives]:
    machine = TypeMachineBuilder(Lives, Life)
    idle = machine.state("idle")
    starting = machine.state("starting")
    ready = machine.state("ready")
    ending = machine.state("ending")  # of no use; started again when it is gone
    renewing = machine.state("renewing")  # started again at once when it is gone
    backoff = machine.state("backoff")
    failed = machine.state("failed")
    stopping = machine.state("stopping")
    stopped = machine.state("stopped")

    running = (starting, ready)
    alive = (starting, ready, ending)
    with_process = (*alive, renewing, stopping)
    everything = (*with_process, idle, backoff, failed, stopped)

    @pep614(idle.upon(Lives.need).to(starting))
    @pep614(backoff.upon(Lives.due).to(starting))
    @pep614(starting.upon(Lives.once_more).loop())
    def begin(lives: Lives, life: Life) -> None:
        life.begin()

    @pep614(idle.upon(Lives.restart).to(starting))
    @pep614(backoff.upon(Lives.restart).to(starting))
    @pep614(failed.upon(Lives.restart).to(starting))
    @pep614(stopped.upon(Lives.restart).to(starting))
    def begin_anew(lives: Lives, life: Life) -> None:
        life.again()
        life.begin()

    @pep614(starting.upon(Lives.opened).to(ready))
    def is_ready(lives: Lives, life: Life) -> None:
        life.is_ready()

    @pep614(starting.upon(Lives.useless).to(ending))
    @pep614(ready.upon(Lives.useless).to(ending))
    def end_useless(lives: Lives, life: Life, why: str) -> None:
        life.end_process(ServerState.BACKOFF, why)

    @pep614(starting.upon(Lives.restart).to(renewing))
    @pep614(ready.upon(Lives.restart).to(renewing))
    @pep614(ending.upon(Lives.restart).to(renewing))
    def renew(lives: Lives, life: Life) -> None:
        life.end_process(ServerState.BACKOFF)

    @pep614(starting.upon(Lives.stop).to(stopping))
    @pep614(ready.upon(Lives.stop).to(stopping))
    @pep614(ending.upon(Lives.stop).to(stopping))
    @pep614(renewing.upon(Lives.stop).to(stopping))
    def end_for_good(lives: Lives, life: Life) -> None:
        life.end_process(ServerState.STOPPED)
        life.refuse()

    @pep614(idle.upon(Lives.stop).to(stopped))
    @pep614(backoff.upon(Lives.stop).to(stopped))
    @pep614(failed.upon(Lives.stop).to(stopped))
    @pep614(stopped.upon(Lives.stop).loop())
    def stop_at_once(lives: Lives, life: Life) -> None:
        life.halted()

    for state in alive:

        @pep614(state.upon(Lives.lost).to(backoff))
        def wait(lives: Lives, life: Life, why: str, delay: float) -> None:
            life.wait(why, delay)

        @pep614(state.upon(Lives.hopeless).to(failed))
        def give_up(lives: Lives, life: Life, why: str) -> None:
            life.give_up(why)

    @pep614(renewing.upon(Lives.lost).to(starting))
    def renewed(lives: Lives, life: Life, why: str, delay: float) -> None:
        life.again()
        life.begin()

    @pep614(renewing.upon(Lives.hopeless).to(starting))
    def renewed_too(lives: Lives, life: Life, why: str) -> None:
        life.again()
        life.begin()

    @pep614(stopping.upon(Lives.lost).to(stopped))
    def gone(lives: Lives, life: Life, why: str, delay: float) -> None:
        life.halted()

    @pep614(stopping.upon(Lives.hopeless).to(stopped))
    def gone_too(lives: Lives, life: Life, why: str) -> None:
        life.halted()

    for state in (failed, stopping, stopped):

        @pep614(state.upon(Lives.need).loop())
        def refuse(lives: Lives, life: Life) -> None:
            life.refuse()

    # Whoever waits is told later.
    for state in (*alive, renewing, backoff):
        state.upon(Lives.need).loop().returns(None)
    # What comes too late, or says what is known.
    for state in everything:
        if state not in running:
            state.upon(Lives.useless).loop().returns(None)
        if state is not starting:
            state.upon(Lives.opened).loop().returns(None)
    renewing.upon(Lives.restart).loop().returns(None)
    stopping.upon(Lives.stop).loop().returns(None)
    stopping.upon(Lives.restart).loop().returns(None)
    return machine.build()


_MACHINE = _built()


def supervised(life: Life) -> Life:
    """`life`, with the machine that leads it."""
    life.machine = _MACHINE(life)
    return life
