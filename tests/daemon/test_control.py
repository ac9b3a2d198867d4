"""The control socket: what it answers, and what a bad client can not do to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflexd.access import Access
from reflexd.control import CLIENTS, Server, Verb
from reflexd.ctl.__main__ import main
from reflexd.protocol import MAX_REQUEST, ControlError, ask
from tests.stopwatch import Stopwatch, within


def reads(do: Callable[[Mapping[str, Any]], object]) -> Verb:
    return Verb(Access.READ, do)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    server = Server(tmp_path / "control.sock")
    server.serve({"status": reads(lambda _request: {"pid": 1}), "echo": reads(lambda request: request.get("text"))})
    yield tmp_path / "control.sock"
    server.close()


def raw(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while piece := client.recv(65536):
            got += piece
        return got


def test_a_verb_is_answered(served: Path) -> None:
    assert ask(served, "status") == {"pid": 1}
    assert ask(served, "echo", {"text": "grüße"}) == "grüße"


def test_an_unknown_verb_names_those_that_exist(served: Path) -> None:
    with pytest.raises(ControlError, match=r"no verb is called 'stauts'; there are echo, status"):
        ask(served, "stauts")


@pytest.mark.fault("F72", bound="one request", outcome="one error; the next client has its answer")
@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"[1]\n", b'{"v": 2, "verb": "status"}\n', b"\xff\xfe\n", b'{"v": 1}\n',
                                  b"x" * (MAX_REQUEST + 10) + b"\n", b'{"v": 1, "verb": ["status"]}\n', b"[" * 4000 + b"\n"])
def test_a_malformed_request_gets_one_error_and_the_next_client_its_answer(served: Path, line: bytes) -> None:
    answer = json.loads(raw(served, line))
    assert answer["ok"] is False
    assert answer["error"]
    assert ask(served, "status") == {"pid": 1}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_stop_the_server(served: Path, data: bytes) -> None:
    raw(served, data)
    assert ask(served, "status") == {"pid": 1}


@pytest.mark.fault("F72", bound="a bounded time", outcome="nobody waits for a slow client; too many are sent away")
def test_slow_clients_hold_nobody_up_until_there_are_too_many_and_then_for_a_bounded_time(served: Path) -> None:
    with ExitStack() as open_now:
        for _ in range(CLIENTS - 1):
            open_now.enter_context(half_asked(served))
        with Stopwatch() as took:
            assert ask(served, "status") == {"pid": 1}
        assert took.seconds < 1
        open_now.enter_context(half_asked(served))
        with pytest.raises(ControlError, match=f"{CLIENTS} clients are being answered; ask again"):
            ask(served, "status")
        within(5, lambda: asked(served))


@contextmanager
def half_asked(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(path))
        slow.sendall(b'{"v": 1,')
        yield


def asked(path: Path) -> bool:
    try:
        return bool(ask(path, "status") == {"pid": 1})
    except ControlError:
        return False


def test_a_second_daemon_is_refused(served: Path) -> None:
    with pytest.raises(FileExistsError, match="another reflexd is running"):
        Server(served)
    assert ask(served, "status") == {"pid": 1}


def test_what_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = Server(path)
    server.serve({"status": reads(lambda _request: 2)})
    assert ask(path, "status") == 2
    server.close()
    assert not path.exists()


def test_without_a_daemon_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="reflexd does not run, or listens elsewhere; see --socket"):
        ask(tmp_path / "none.sock", "status")
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match="reflexd does not run, or listens elsewhere; see --socket"):
        ask(tmp_path / "file", "status")


def test_an_address_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlError, match="cannot listen there"):
        Server(tmp_path / "file" / "control.sock")


def test_a_verb_that_fails_in_a_way_nobody_foresaw_costs_its_own_client_only(tmp_path: Path) -> None:
    def broken(_request: object) -> object:
        raise AttributeError("'NoneType' object has no attribute 'given'")

    server = Server(tmp_path / "control.sock")
    server.serve({"broken": reads(broken), "fine": reads(lambda _request: 1)})
    try:
        with pytest.raises(ControlError, match="AttributeError"):
            ask(tmp_path / "control.sock", "broken")
        assert ask(tmp_path / "control.sock", "fine") == 1
    finally:
        server.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("worth keeping")
    with pytest.raises(ControlError, match="something else than a socket"):
        Server(path)
    assert path.read_text() == "worth keeping"


def test_an_address_below_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("worth keeping")
    with pytest.raises(ControlError, match="cannot listen there"):
        Server(tmp_path / "notes" / "below" / "control.sock")


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b'{"v": 1, "verb": "\xff"}\n', b"status\n", b"[" * 4000 + b"\n"])
def test_a_request_that_is_no_json_is_told_how_one_is_written(served: Path, line: bytes) -> None:
    assert json.loads(raw(served, line))["error"].startswith('a request is {"v": 1, "verb": "…"}')


@pytest.mark.parametrize(("error", "said"), [
    (KeyError("gate"), "KeyError: 'gate'"), (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
])
def test_an_error_is_told_in_words(tmp_path: Path, error: Exception, said: str) -> None:
    def fail(_request: Mapping[str, Any]) -> object:
        raise error

    server = Server(tmp_path / "control.sock")
    server.serve({"fail": reads(fail)})
    with pytest.raises(ControlError) as told:
        ask(tmp_path / "control.sock", "fail")
    assert str(told.value) == said
    server.close()


def test_where_no_more_clients_can_wait_one_is_told_to_ask_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "control.sock")       # which does not answer yet
    with ExitStack() as open_now:
        for _ in range(CLIENTS + 2):
            client = open_now.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(tmp_path / "control.sock"))
        with pytest.raises(ControlError, match="too many clients wait; ask again"):
            ask(tmp_path / "control.sock", "status")
    server.close()


@pytest.mark.parametrize("answer", [b"null", b"[]", b'"v"', b'{"ok": true}', b'{"v": 2, "ok": true}', b"[" * 100_000, b"\xff"])
def test_what_is_no_reflexd_is_told_apart(tmp_path: Path, answer: bytes) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path := tmp_path / "other.sock"))
        other.listen()

        def serve() -> None:
            client, _ = other.accept()
            with closing(client):
                client.recv(4096)
                client.sendall(answer + b"\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ControlError, match=r"other\.sock: .*; see "):
            ask(path, "status")


def test_an_address_with_a_percent_sign_is_shown_as_it_is(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REFLEXD_SOCKET", "/run/100%/x")
    with pytest.raises(SystemExit):
        main(["arm", "--help"])
    assert "/run/100%/x" in capsys.readouterr().out
