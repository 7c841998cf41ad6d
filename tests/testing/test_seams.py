"""The fakes are what they stand for."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyClass, verifyObject

from modelplex.errors import UpstreamCut, UpstreamOverloaded
from modelplex.events import Event, Failed, Finished, FinishReason, Started, TextDelta
from modelplex.interfaces import IModelProvider, IReply, IReplySink
from modelplex.testing.seams import FakeProvider, FakeReply, FakeSink
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT

SAID: list[Event] = [Started("id", "m"), TextDelta("Hi"), Finished(FinishReason.STOP)]


def asked() -> Asked:
    body = open_object(b'{"model":"m"}')
    return Asked(Operation.CHAT, OPENAI_CHAT, body, "m", True, Answering("m", 0))


def test_fakes_keep_the_interfaces() -> None:
    verifyClass(IModelProvider, FakeProvider)
    verifyObject(IModelProvider, FakeProvider("p"))
    verifyObject(IReply, FakeReply([]))
    verifyObject(IReplySink, FakeSink())


async def test_a_fake_provider_answers_as_it_is_told() -> None:
    provider, sink, request = FakeProvider("p", answer=[*SAID]), FakeSink(), asked()
    reply = await Deferred.fromCoroutine(provider.open(request, "up", 3.0))
    reply.deliver(sink)
    assert (sink.batches, sink.end, sink.text()) == ([SAID], True, "Hi")
    assert provider.asked == [(request, "up", 3.0)]
    assert reply.reader.finish == "stop"


async def test_a_fake_provider_fails_as_it_is_told() -> None:
    error = UpstreamOverloaded("busy")
    provider = FakeProvider("p", answer=error)
    with pytest.raises(UpstreamOverloaded):
        await provider.open(asked(), "up", 3.0)
    cut, sink = UpstreamCut("gone"), FakeSink()
    FakeReply([TextDelta("H"), Failed(cut)]).deliver(sink)
    assert (sink.batches, sink.end) == ([[TextDelta("H")]], cut)
