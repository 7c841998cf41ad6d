"""When a server that ended is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.child_settings import RestartSettings
from modelplex.mcp.restarts import Restarts

POLICY = RestartSettings(first=1.0, most=5.0, times=6, stable=60.0)


def test_each_end_waits_longer_up_to_a_bound_and_then_it_is_given_up() -> None:
    restarts = Restarts(POLICY, lambda: 1.0)
    assert [restarts.ended(0) for _ in range(6)] == [1.0, 2.0, 4.0, 5.0, 5.0, None]


def test_a_server_that_ran_long_enough_begins_anew() -> None:
    restarts = Restarts(POLICY, lambda: 1.0)
    delays = [restarts.ended(ran) for ran in (0, 0, 59.9, 60.0, 0)]
    assert delays == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_the_operator_can_forgive() -> None:
    restarts = Restarts(POLICY, lambda: 1.0)
    while restarts.ended(0) is not None:
        pass
    restarts.forgive()
    assert restarts.ended(0) == 1.0


@given(st.floats(0, 1), st.integers(1, 2000))
def test_a_delay_is_spread_over_half_of_itself(chance: float, times: int) -> None:
    policy = RestartSettings(first=0.5, most=30.0, times=times + 1)
    restarts = Restarts(policy, lambda: chance)
    for n in range(times):
        delay = restarts.ended(0)
        whole = min(30.0, 0.5 * 2.0 ** min(n, 20))
        assert delay is not None
        assert whole / 2 <= delay <= whole
