"""The fake tool server is a tool server."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from modelplex.interfaces import IToolServer
from modelplex.testing.fakes.tool_server import FakeToolServer


def test_it_is_a_tool_server() -> None:
    assert verifyObject(IToolServer, FakeToolServer())
