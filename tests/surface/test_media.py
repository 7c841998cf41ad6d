"""Images, audio, moderations and files: on their way through a house in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from modelplex.config import Guest as Policy
from modelplex.surface.site import Limits
from modelplex.surface.upload import BLOCK
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.house import KEY, House, upstream
from modelplex.testing.memory.upstream import Connection
from modelplex.testing.pieces import chopped

B = b"bound"
AUDIO = "/v1/audio/transcriptions"
ALIAS = upstream("up", models={"fast": "whisper-1"})
MEGA = 2**20


def named(name: str, value: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    return b"--" + B + b"\r\n" + head.encode()


def opened_file(name: str = "file") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="a.mp3"\r\n'
    return b"--" + B + b"\r\n" + head.encode() + b"Content-Type: audio/mpeg\r\n\r\n"


def a_file(content: bytes = b"\0\xff", name: str = "file") -> bytes:
    return opened_file(name) + content + b"\r\n"


END = b"--" + B + b"--\r\n"
FORM = named("model", "m") + a_file() + END


def begin(guest: Guest, length: int | None, target: str = AUDIO, *headers: str) -> None:
    """Send the header of a form; ``None`` for one in chunks."""
    lines = [f"POST {target} HTTP/1.1"]
    lines.append(f"content-type: multipart/form-data; boundary={B.decode()}")
    if length is None:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {length}")
    guest.send("\r\n".join([*lines, *headers, "", ""]).encode())


def post(guest: Guest, form: bytes, target: str = AUDIO, *headers: str) -> None:
    begin(guest, len(form), target, *headers)
    guest.send(form)


def unsent(connection: Connection) -> tuple[bytes, bytes]:
    """The header and the body that the upstream has got so far."""
    head, _, body = connection._end.value().partition(b"\r\n\r\n")
    return head, body


def stops_reading(connection: Connection) -> None:
    assert connection._end.producer is not None
    connection._end.producer.pauseProducing()


def reads_on(connection: Connection) -> None:
    assert connection._end.producer is not None
    connection._end.producer.resumeProducing()


def held(guest: Guest) -> int:
    upload = guest.channel.requests[0].upload
    assert upload is not None
    return int(upload.held)


def reads(guest: Guest) -> bool:
    """Whether the guest is read from."""
    return bool(guest._end.producerState == "producing")


@pytest.fixture
def told() -> Iterator[list[LogEvent]]:
    """The lines of the exchanges."""
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("event") == "exchange":
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


# --- a form


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_a_form_of_no_known_length_goes_on_in_chunks() -> None:
    house = House()
    guest = house.guest()
    begin(guest, None)
    guest.send(chunk(FORM[:70]))
    connection = house.upstreams.accept()
    guest.send(chunk(FORM[70:]) + b"0\r\n\r\n")
    head, body = unsent(connection)
    assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    assert whole == FORM
    connection.answer(b"{}")
    assert guest.answer().status == 200
    house.nothing_is_left()


@pytest.mark.parametrize("sized", [True, False])
def test_a_form_reaches_the_provider_byte_for_byte(
    sized: bool, told: list[LogEvent]
) -> None:
    house = House()
    guest = house.guest()
    if sized:
        post(guest, FORM, f"{AUDIO}?a=b", "idempotency-key: k", "cookie: c")
    else:  # its length is known, as it is complete before anybody is connected to
        begin(guest, None)
        guest.send(chunk(FORM) + b"0\r\n\r\n")
    got = house.upstreams.accept().request()
    assert (got.method, got.path) == ("POST", "/v1/audio/transcriptions")
    assert got.body == FORM
    assert got.header("authorization") == [f"Bearer {KEY}"]
    assert got.header("content-type") == ["multipart/form-data; boundary=bound"]
    keys = got.header("idempotency-key")
    assert [key[:4] for key in keys] == (["mpx-"] if sized else [])
    assert not got.header("cookie")
    house.upstreams.connections[0].answer(b'{"text":"hi"}', content_type="text/vtt")
    answer = guest.answer()
    assert (answer.status, answer.body) == (200, b'{"text":"hi"}')
    assert answer.headers["content-type"] == "text/vtt"
    assert answer.headers["content-length"] == "13"
    assert answer.headers["modelplex-provider"] == "up"
    assert answer.headers["modelplex-model"] == "m"
    [line] = told
    assert (line["operation"], line["model"], line["status"]) == ("audio", "m", 200)
    house.nothing_is_left()


def test_the_connection_serves_another_request_afterwards() -> None:
    house = House()
    guest = house.guest()
    post(guest, FORM)
    connection = house.upstreams.accept()
    connection.request()
    connection.answer(b"{}")
    post(guest, FORM)
    assert connection.request().body == FORM  # the upstream's serves another, too
    connection.answer(b"{}")
    assert [answer.status for answer in guest.answers()] == [200, 200]
    house.nothing_is_left()


@given(data=st.data())
def test_an_alias_is_replaced_however_the_form_is_cut(data: st.DataObject) -> None:
    parts = [named("model", "fast"), named("language", "de"), a_file(b"\r\n--boun")]
    parts = list(data.draw(st.permutations(parts)))
    form = b"".join(parts) + END
    house = House((ALIAS,))
    guest = house.guest()
    begin(guest, len(form))
    connection: Connection | None = None
    for piece in data.draw(chopped(form)):
        guest.send(piece)
        waits = bool(house.upstreams.waiting())
        if waits and data.draw(st.booleans()):
            connection = house.upstreams.accept()
    connection = connection or house.upstreams.accept()
    got = connection.request()
    replaced = form.replace(b"\r\n\r\nfast\r\n", b"\r\n\r\nwhisper-1\r\n")
    assert got.body == replaced
    assert got.header("content-length") == [str(len(replaced))]
    house.nothing_is_left()


def test_a_deployment_in_the_path_is_the_model_of_a_form_without_one() -> None:
    house = House((ALIAS,))
    form = a_file() + END
    post(house.guest(), form, "/openai/deployments/fast/audio/transcriptions")
    assert house.upstreams.accept().request().body == named("model", "whisper-1") + form
    house.nothing_is_left()


def test_fifty_megabytes_pass_and_next_to_nothing_is_held() -> None:
    house = House(limits=Limits(max_request_size=64 * MEGA))
    guest = house.guest()
    head = named("model", "m") + opened_file()
    block = bytes(range(256)) * 256
    begin(guest, len(head) + 800 * len(block) + 2 + len(END))
    guest.send(head)
    connection = house.upstreams.accept()
    got, most = 0, 0
    for _ in range(800):
        guest.send(block)
        most = max(most, held(guest))
        got += len(connection._end.value())
        connection._end.clear()
    assert got > 49 * MEGA and most < 100
    guest.send(b"\r\n" + END)
    connection.answer(b"{}")
    assert guest.answer().status == 200
    house.nothing_is_left()


def test_a_file_before_the_model_is_held_and_then_sent() -> None:
    house = House()
    guest = house.guest()
    file, model = a_file(bytes(3 * MEGA)), named("model", "m")
    begin(guest, len(file) + len(model) + len(END))
    guest.send(file)
    assert not house.upstreams.waiting()
    assert held(guest) > 2.9 * MEGA and reads(guest)
    guest.send(model + END[:-2])
    connection = house.upstreams.accept()
    assert len(unsent(connection)[1]) >= len(file) + len(model)
    assert held(guest) == 0
    guest.send(END[-2:])
    assert connection.request().body == file + model + END
    house.nothing_is_left()


def test_a_provider_that_takes_no_more_stops_the_guest() -> None:
    house = House()
    guest = house.guest()
    begin(guest, len(FORM) + 10 * BLOCK)
    guest.send(named("model", "m") + opened_file())
    connection = house.upstreams.accept()
    assert reads(guest)
    stops_reading(connection)
    assert not reads(guest)
    guest.send(bytes(BLOCK))  # was on its way
    assert BLOCK - 100 < held(guest) < BLOCK + 100 and not reads(guest)
    before = len(unsent(connection)[1])
    reads_on(connection)
    assert len(unsent(connection)[1]) > before + BLOCK - 100
    assert reads(guest) and held(guest) < 100
    house.nothing_is_left()


@pytest.mark.parametrize("target", [AUDIO, "/v1/files"])
def test_while_a_provider_is_connected_to_only_a_block_is_held(target: str) -> None:
    house = House(policy=FILES)
    guest = house.guest()
    begin(guest, len(FORM) + 10 * BLOCK, target)
    guest.send(named("model", "m") + opened_file())
    while reads(guest):
        guest.send(bytes(BLOCK // 4))
    assert held(guest) < 2 * BLOCK
    house.upstreams.accept()
    assert reads(guest) and held(guest) < 100
    house.nothing_is_left()


def test_the_time_that_a_provider_takes_is_not_the_guests() -> None:
    house = House()
    guest = house.guest()
    begin(guest, len(FORM) + 10)
    guest.send(FORM[:-20])
    connection = house.upstreams.accept()
    house.wait(100)
    stops_reading(connection)
    house.wait(100)
    assert not guest.answers()
    reads_on(connection)
    house.wait(19)
    assert not guest.answers()
    house.wait(3)
    assert guest.answer().status == 408
    house.turn()
    assert not house.upstreams.open
    house.nothing_is_left()


# --- who goes away


def test_a_guest_that_goes_away_cuts_the_provider_off() -> None:
    for at in (10, len(FORM) - 30, len(FORM)):
        house = House()
        guest = house.guest()
        begin(guest, len(FORM))
        guest.send(FORM[:at])
        connection = house.upstreams.accept() if house.upstreams.waiting() else None
        guest.leave()
        house.turn()
        assert connection is None or not connection.open
        assert not house.upstreams.waiting()
        house.nothing_is_left()


def test_a_guest_that_goes_away_while_it_is_not_read_is_gone_too() -> None:
    house = House()
    guest = house.guest()
    begin(guest, len(FORM) + 10 * BLOCK)
    guest.send(named("model", "m") + opened_file())
    connection = house.upstreams.accept()
    stops_reading(connection)
    guest.leave()
    house.turn()
    assert not connection.open
    house.nothing_is_left()


@pytest.mark.parametrize("size", [0, 40])
@pytest.mark.parametrize("status", [400, 413, 401, 429, 503])
def test_a_refusal_that_comes_early_is_told_and_the_rest_is_dropped(
    size: int, status: int, told: list[LogEvent]
) -> None:
    house = House((upstream("up"), upstream("other", 2)))
    guest = house.guest()
    begin(guest, len(FORM) + 10 * BLOCK)
    guest.send(named("model", "m") + opened_file())
    connection = house.upstreams.accept("/up")
    stops_reading(connection)
    error = {"error": {"message": "x" * size, "type": "t", "code": None, "param": None}}
    connection.answer(json.dumps(error).encode() if size else b"", status)
    house.turn()
    answer = guest.answer()
    assert answer.complete and answer.headers["connection"] == "close"
    assert answer.status == {401: 502, 503: 503}.get(status, status)
    assert not connection.open and not house.upstreams.waiting()
    guest.send(bytes(10 * BLOCK))  # it still sends, and nobody cares
    assert len(guest.answers()) == 1 and guest.open
    [line] = told
    assert (line["attempts"], line["status"]) == (1, answer.status)
    house.wait(6)
    assert not guest.open
    house.nothing_is_left()


def test_an_answer_that_is_none_yet_waits_for_the_form() -> None:
    house = House()
    guest = house.guest()
    begin(guest, len(FORM))
    guest.send(FORM[:-10])
    connection = house.upstreams.accept()
    connection.begin(content_type="text/event-stream")
    assert not guest.answers()
    guest.send(FORM[-10:])
    connection.chunk(b"data: 1\n\n")
    assert guest.answer().body == b"data: 1\n\n"
    connection.finish()
    assert guest.answer().complete and guest.open
    house.nothing_is_left()


def test_a_provider_that_cuts_a_form_off_is_an_error() -> None:
    house = House((upstream("up"), upstream("other", 2)))
    guest = house.guest()
    begin(guest, len(FORM))
    guest.send(FORM[:-10])
    house.upstreams.accept("/up").cut()
    house.turn()
    answer = guest.answer()
    assert (answer.status, answer.error["code"]) == (502, "upstream_cut")
    assert not house.upstreams.waiting()
    house.nothing_is_left()


def test_a_form_that_has_not_begun_to_leave_goes_to_another(
    told: list[LogEvent],
) -> None:
    providers = (upstream("up"), upstream("other", 2, models={"m": "theirs"}))
    house = House(providers)
    guest = house.guest()
    begin(guest, len(FORM))
    guest.send(FORM[:-10])
    house.upstreams.refuse("/up")
    connection = house.upstreams.accept("/other")
    guest.send(FORM[-10:])
    theirs = FORM.replace(b"\r\n\r\nm\r\n", b"\r\n\r\ntheirs\r\n")
    assert connection.request().body == theirs
    connection.answer(b"{}")
    assert guest.answer().headers["modelplex-provider"] == "other"
    assert told[0]["attempts"] == 2
    house.nothing_is_left()


def test_a_form_that_was_complete_before_it_left_goes_to_another() -> None:
    house = House((upstream("up"), upstream("other", 2)))
    guest = house.guest()
    post(guest, FORM)
    first = house.upstreams.accept("/up")
    assert first.request().body == FORM
    first.answer(b"{}", 503)
    second = house.upstreams.accept("/other")
    assert second.request().body == FORM
    second.begin()
    second.chunk(b"a")
    assert held(guest) == 0
    second.finish()
    assert guest.answer().status == 200
    house.nothing_is_left()


# --- forms that are refused


def refused(form: bytes, policy: Policy | None = None, **limits: Any) -> Any:
    """The error for a form, of which nothing was complete at a provider."""
    house = House(policy=policy or Policy(name="default"), limits=Limits(**limits))
    guest = house.guest()
    begin(guest, len(form) + 1)
    for start in range(0, len(form), 50):
        guest.send(form[start : start + 50])
        if house.upstreams.waiting():
            house.upstreams.accept()
    house.turn()
    assert not house.upstreams.open
    answer = guest.answer()
    assert answer.complete and answer.headers["connection"] == "close"
    house.nothing_is_left()
    return {"status": answer.status, **answer.error}


def test_a_second_model_is_refused_before_the_form_is_complete() -> None:
    error = refused(FORM[: -len(END)] + named("model", "other") + END)
    assert (error["status"], error["code"]) == (400, "invalid_form")


@pytest.mark.parametrize("form", [b"--bound\nx", b"", FORM + b"x", a_file()[:-2] + END])
def test_a_body_that_is_no_form_is_refused(form: bytes) -> None:
    house = House()
    guest = house.guest()
    post(guest, form)
    if house.upstreams.waiting():
        house.upstreams.accept()
    house.turn()
    assert guest.answer().status == 400 and not house.upstreams.open
    house.nothing_is_left()


def test_a_form_without_a_model_asks_for_one() -> None:
    house = House()
    guest = house.guest()
    post(guest, a_file() + END)
    answer = guest.answer()
    assert (answer.status, answer.error["param"]) == (400, "model")
    assert guest.open and "connection" not in answer.headers
    house.nothing_is_left()


def test_an_unknown_model_is_refused_before_its_file_is_sent() -> None:
    error = refused(named("model", "nobody") + a_file(bytes(1000)))
    assert (error["status"], error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("field", "word"),
    [
        (("url", "https://example.com/a.mp3"), "remote-urls"),
        (("image", "https://example.com/a.png"), "remote-urls"),
        (("images[0][image_url]", "https://example.com/a.png"), "remote-urls"),
        (("thing", '{"url":"https://example.com"}'), "remote-urls"),
        (("file_id", "file-1"), "files"),
        (("images[][file_id]", "file-1"), "files"),
    ],
)
def test_a_field_that_refers_elsewhere_is_refused(
    field: tuple[str, str], word: str
) -> None:
    form = named("model", "m") + named(*field) + END
    error = refused(form)
    assert error["status"] == 403 and f'allow = ["{word}"]' in error["message"]
    house = House(policy=Policy(name="default", allow=(word,)))  # type: ignore[arg-type]
    post(house.guest(), form)
    assert house.upstreams.accept().request().body == form
    house.nothing_is_left()


def test_a_field_of_words_may_hold_anything() -> None:
    form = named("model", "m") + named("prompt", "[https://example.com") + END
    house = House()
    post(house.guest(), form)
    assert house.upstreams.accept().request().body == form
    house.nothing_is_left()


@pytest.mark.parametrize("known", [True, False])
def test_the_limit_of_a_request_holds_for_what_is_not_held(known: bool) -> None:
    house = House(limits=Limits(max_request_size=BLOCK))
    guest = house.guest()
    begin(guest, None)
    form = (named("model", "m") if known else b"") + opened_file() + bytes(2 * BLOCK)
    for start in range(0, len(form), 1000):
        guest.send(chunk(form[start : start + 1000]))
        if house.upstreams.waiting():
            house.upstreams.accept()
    house.turn()
    answer = guest.answer()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert not house.upstreams.open
    house.nothing_is_left()


def test_a_form_in_a_coding_is_refused() -> None:
    house = House()
    guest = house.guest()
    begin(guest, 10, AUDIO, "content-encoding: gzip")
    assert guest.answer().status == 415
    house.nothing_is_left()


# --- JSON


def test_a_json_request_is_spliced_and_its_answer_passed_on() -> None:
    house = House((upstream("up", models={"fast": "tts-1"}),))
    guest = house.guest()
    guest.post("/v1/audio/speech", b'{ "input":"\\u00fc", "model" : "fast","new":1}')
    connection = house.upstreams.accept()
    got = connection.request()
    assert got.body == b'{ "input":"\\u00fc", "model" : "tts-1","new":1}'
    assert got.header("content-type") == ["application/json"]
    connection.begin(201, content_type="audio/mpeg", x_secret="s")
    connection.chunk(b"\xff\0")
    answer = guest.answer()
    assert (answer.status, answer.body, answer.complete) == (201, b"\xff\0", False)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert "x-secret" not in answer.headers
    connection.finish()
    assert guest.answer().complete
    house.nothing_is_left()


def test_moderations_have_a_model_of_their_own() -> None:
    house = House((upstream("up", models=("*",)),))
    house.guest().post("/v1/moderations", {"input": "x"})
    got = json.loads(house.upstreams.accept().request().body)
    assert got == {"input": "x", "model": "omni-moderation-latest"}
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("target", "more", "word"),
    [
        ("images/edits", {"images": [{"image_url": "https://e.com/"}]}, "remote-urls"),
        ("images/edits", {"images": [{"file_id": "file-1"}]}, "files"),
        ("images/edits", {"mask": {"file_id": "file-1"}}, "files"),
        (
            "moderations",
            {"input": [{"type": "image_url", "image_url": {"url": "http://e.com"}}]},
            "remote-urls",
        ),
    ],
)
def test_a_reference_in_json_is_refused(target: str, more: Any, word: str) -> None:
    house = House()
    guest = house.guest()
    guest.post(f"/v1/{target}", {"model": "m", "prompt": "x", **more})
    answer = guest.answer()
    assert answer.status == 403 and f'allow = ["{word}"]' in answer.error["message"]
    house.nothing_is_left()


def test_data_in_json_is_no_reference() -> None:
    house = House()
    images = [{"image_url": "data:image/png;base64,AA=="}]
    house.guest().post("/v1/images/edits", {"model": "m", "images": images})
    assert b"data:image" in house.upstreams.accept().request().body
    house.nothing_is_left()


@pytest.mark.parametrize("body", [b"[]", b'{"model":"m","model":"m"}', b"{}"])
def test_json_that_cannot_be_asked_is_refused(body: bytes) -> None:
    house = House()
    guest = house.guest()
    guest.post("/v1/images/generations", body)
    assert guest.answer().status == 400
    house.nothing_is_left()


def test_a_provider_without_the_api_is_not_asked() -> None:
    house = House((upstream("up", type="anthropic"),))
    guest = house.guest()
    guest.post("/v1/images/generations", {"model": "m", "prompt": "x"})
    assert guest.answer().error["code"] == "model_not_found"
    house.nothing_is_left()


# --- answers


def asked(house: House) -> tuple[Guest, Connection]:
    guest = house.guest()
    guest.post("/v1/audio/speech", {"model": "m", "input": "x"})
    connection = house.upstreams.accept()
    connection.request()
    return guest, connection


def test_a_guest_that_reads_slowly_stops_the_provider() -> None:
    house = House()
    guest, connection = asked(house)
    connection.begin(content_type="audio/mpeg")
    guest.stop_reading()
    connection.chunk(bytes(1000))
    connection.chunk(bytes(1000))
    assert connection.paused and guest.paused
    guest.read_on()
    house.turn()
    assert not connection.paused
    connection.finish()
    assert len(guest.answer().body) == 2000 and guest.answer().complete
    house.nothing_is_left()


@pytest.mark.parametrize("sized", [True, False])
def test_an_answer_that_breaks_off_is_no_clean_end(
    sized: bool, told: list[LogEvent]
) -> None:
    house = House()
    guest, connection = asked(house)
    if sized:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\n"
        connection.send(head + b"content-length: 20\r\n\r\n" + bytes(10))
    else:
        connection.begin(content_type="audio/mpeg")
        connection.chunk(bytes(10))
    connection.cut()
    house.turn()
    assert not guest.answer().complete and not guest.open
    [line] = told
    assert (line["error"], line["status"]) == ("upstream_cut", 200)
    house.nothing_is_left()


def test_an_answer_that_breaks_off_before_its_first_byte_goes_to_another() -> None:
    house = House((upstream("up"), upstream("other", 2)))
    guest = house.guest()
    guest.post("/v1/audio/speech", {"model": "m", "input": "x"})
    first = house.upstreams.accept("/up")
    first.begin(content_type="audio/mpeg")
    first.cut()
    second = house.upstreams.accept("/other")
    second.answer(b"a", content_type="audio/mpeg")
    assert guest.answer().body == b"a"
    house.nothing_is_left()


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_a_body_is_one(status: int) -> None:
    house = House()
    guest, connection = asked(house)
    connection.answer(b"", status, content_type="audio/mpeg")
    assert (guest.answer().status, guest.answer().body) == (status, b"")
    house.nothing_is_left()


def test_an_error_is_told_in_openais_shape_and_without_the_key() -> None:
    house = House()
    guest, connection = asked(house)
    said = {"message": f"no {KEY}", "type": "t", "param": "p", "code": "c"}
    connection.answer(json.dumps({"error": said}).encode(), 422)
    answer = guest.answer()
    assert answer.status == 422 and answer.error["code"] == "c"
    assert KEY not in answer.body.decode()
    house.nothing_is_left()


def test_a_refused_key_is_not_told_in_the_providers_words(
    told: list[LogEvent],
) -> None:
    house = House()
    guest, connection = asked(house)
    connection.answer(b'{"error":{"message":"org-secret"}}', 401)
    answer = guest.answer()
    assert answer.status == 502 and b"org-secret" not in answer.body
    assert told[0]["error"] == "upstream_denied"
    house.nothing_is_left()


def test_a_page_is_no_answer() -> None:
    house = House()
    guest, connection = asked(house)
    connection.answer(b"<html>", content_type="text/html")
    house.turn()
    assert guest.answer().error["code"] == "upstream_malformed"
    house.nothing_is_left()


def test_a_stream_that_a_model_ignores_is_still_its_answer() -> None:
    house = House()
    guest = house.guest()
    asks = {"model": "m", "prompt": "x", "stream": True}
    guest.post("/v1/images/generations", asks)
    connection = house.upstreams.accept()
    connection.answer(b'{"data":[]}')
    assert guest.answer().body == b'{"data":[]}'
    house.nothing_is_left()


def test_a_provider_that_says_nothing_is_a_timeout() -> None:
    house = House()
    guest, _connection = asked(house)
    house.wait(899)
    assert not guest.answers()
    house.wait(2)
    assert guest.answer().status == 504
    house.nothing_is_left()


# --- files


FILES = Policy(name="default", allow=("files",))
UPLOAD = named("purpose", "batch") + a_file(b"{}") + END


def test_files_are_closed_unless_the_policy_opens_them() -> None:
    for method, target in [
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
    ]:
        answer = House().guest().get(target, method)
        assert answer.status == 403
        assert 'allow = ["files"]' in answer.error["message"]
    house = House()
    guest = house.guest()
    begin(guest, 10**6, "/v1/files")
    assert guest.answer().status == 403  # without waiting for it
    house.nothing_is_left()


def test_files_go_to_one_provider_and_come_back() -> None:
    house = House((upstream("up"), upstream("other")), policy=FILES)
    guest = house.guest()
    post(guest, UPLOAD, "/v1/files")
    connection = house.upstreams.accept("/up")
    got = connection.request()
    assert (got.method, got.path, got.body) == ("POST", "/v1/files", UPLOAD)
    connection.answer(b'{"id":"file-1"}')
    for method, target, asks in [
        ("GET", "/v1/files?limit=2&after=a%26b&x=y", "/v1/files?limit=2&after=a%26b"),
        ("GET", "/v1/files/file-1", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content", "/v1/files/file-1/content"),
    ]:
        guest.send(f"{method} {target} HTTP/1.1\r\n\r\n".encode())
        got = connection.request()
        assert (got.method, got.path, got.body) == (method, asks, b"")
        assert not got.header("content-type")
        connection.answer(b"<html>", content_type="text/html")
        last = guest.answers()[-1]
        assert (last.body, last.headers["content-type"]) == (b"<html>", "text/html")
        assert "modelplex-model" not in last.headers
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("models", "policy", "serves"),
    [
        (("gpt-4o",), ("gpt-4o",), True),
        (("gpt-*",), ("gpt-4o",), True),
        (("gpt-4o",), ("gpt-*",), True),
        (("gpt-*",), ("up/gpt-4o",), True),
        (("gpt-*",), ("up/*",), True),
        (("gpt-*",), ("*",), True),
        (("gpt-*",), ("o3",), False),
        (("gpt-4o",), ("other/*",), False),
    ],
)
def test_the_keeper_of_files_is_one_whose_models_the_guest_may_use(
    models: tuple[str, ...], policy: tuple[str, ...], serves: bool
) -> None:
    house = House(
        (upstream("no", type="anthropic"), upstream("up", models=models)),
        policy=Policy(name="default", allow=("files",), models=policy),
    )
    guest = house.guest()
    guest.send(b"GET /v1/files HTTP/1.1\r\n\r\n")
    if serves:
        house.upstreams.accept("/up")
    else:
        assert guest.answer().status == 404
    house.nothing_is_left()


def test_the_keeper_of_files_is_the_first_by_priority_and_never_another() -> None:
    providers = (upstream("last", 3), upstream("first", 2), upstream("second", 2))
    house = House(providers, policy=FILES)
    guest = house.guest()
    guest.send(b"GET /v1/files HTTP/1.1\r\n\r\n")
    house.upstreams.refuse("/first")
    assert guest.answer().status == 502
    house.nothing_is_left()


@pytest.mark.parametrize("file", ["a.b", "a%20b", "x" * 200, "%C3%BC"])
def test_an_id_of_a_file_is_no_way_elsewhere(file: str) -> None:
    answer = House(policy=FILES).guest().get(f"/v1/files/{file}")
    assert answer.status == 400


def test_files_of_anthropics_clients_are_not_openais() -> None:
    guest = House(policy=FILES).guest()
    assert guest.get("/v1/files", "GET", "anthropic-version: 1").status == 404


def test_a_file_that_is_no_form_is_refused() -> None:
    guest = House(policy=FILES).guest()
    guest.post("/v1/files", {})
    assert guest.answer().status == 400


# --- Azure


@pytest.mark.parametrize("version", [None, "2024-10-21"])
def test_azure_has_the_deployment_where_it_wants_it(version: str | None) -> None:
    azure = upstream("up", type="azure", api_version=version)
    house = House((azure,), policy=FILES)
    guest = house.guest()
    post(guest, FORM)
    connection = house.upstreams.accept()
    got = connection.request()
    where = "/openai/deployments/m" if version else "/openai/v1"
    query = f"?api-version={version}" if version else ""
    assert got.path == f"{where}/audio/transcriptions{query}"
    assert got.body == FORM
    connection.answer(b"{}")
    guest.send(b"GET /v1/files?limit=1 HTTP/1.1\r\n\r\n")
    where = "/openai/files?limit=1&api-version=" if version else "/openai/v1/files?lim"
    assert connection.request().path.startswith(where)
    connection.answer(b"{}")
    guest.post("/v1/moderations", {"model": "m", "input": "x"})
    assert guest.answers()[-1].status == 404
    house.nothing_is_left()
