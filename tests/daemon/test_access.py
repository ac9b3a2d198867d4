"""Who connects to the control socket decides what may be asked for."""

from __future__ import annotations

import grp
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.access import Access, Peer, Policy, peer_of
from reflexd.config.settings import DaemonSettings
from reflexd.control import Server, Verb
from reflexd.protocol import ControlError

NOBODY = 65534
POLICY = Policy(operate=frozenset({10}), admin=frozenset({20}))
ASK = "import sys; from pathlib import Path; from reflexd.protocol import ask; print(ask(Path(sys.argv[1]), sys.argv[2]))"


@pytest.mark.parametrize(("uid", "groups", "access"), [
    (0, {0}, Access.ADMIN),
    (os.geteuid(), set(), Access.ADMIN),
    (NOBODY, {1, 2}, Access.READ),
    (NOBODY, {1, 10}, Access.OPERATE),
    (NOBODY, {10, 20}, Access.ADMIN),
])
def test_groups_and_root_decide(uid: int, groups: set[int], access: Access) -> None:
    assert POLICY.access(Peer(1, uid, frozenset(groups))) is access


def test_the_kernel_says_who_connected() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups >= {os.getegid(), *os.getgroups()}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def serve(path: Path, **settings: Any) -> Server:
    server = Server(path, DaemonSettings(socket=str(path), **settings))
    server.serve({name: Verb(access, lambda _request, name=name: name) for name, access in   # type: ignore[misc]
                  (("look", Access.READ), ("run", Access.OPERATE), ("change", Access.ADMIN))})
    return server


def ask_as(groups: str, path: Path, verb: str) -> str:
    """Ask as nobody, who is in these groups besides; give the answer or the error's last line."""
    source = Path(__file__).resolve().parent.parent.parent / "daemon"
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={groups}" if groups else "--clear-groups",
               sys.executable, "-c", ASK, str(path), verb]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (source, *sys.path[1:])))})
    return (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_f72_another_user_reads_a_member_of_the_group_operates_and_only_an_admin_changes(folder: Path) -> None:
    path = folder / "control.sock"
    staff, games = grp.getgrnam("staff").gr_gid, grp.getgrnam("games").gr_gid
    server = serve(path, socket_mode="0666", operate_group="staff", admin_group="games")
    try:
        assert [ask_as("", path, verb) for verb in ("look", "run")] == [
            "look",
            ("reflexd.protocol.ControlError: this user may read, and run needs operate; "
             "use sudo, or see operate_group in [daemon]"),
        ]
        assert ask_as(str(staff), path, "run") == "run"
        assert "this user may operate, and change needs admin" in ask_as(str(staff), path, "change")
        assert ask_as(str(games), path, "change") == "change"
    finally:
        server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_who_is_not_in_the_sockets_group_cannot_connect(folder: Path) -> None:
    path = folder / "control.sock"
    server = serve(path, socket_group="staff")
    try:
        assert oct(path.stat().st_mode & 0o777) == "0o660"
        assert "this user may not ask reflexd; use sudo, or join the group of the socket" in ask_as("", path, "look")
        assert ask_as(str(grp.getgrnam("staff").gr_gid), path, "run") == "run", "the socket's own group operates by default"
    finally:
        server.close()


def test_a_group_that_does_not_exist_says_so(folder: Path) -> None:
    with pytest.raises(ControlError, match=r"\[daemon\]: no group is called 'nosuch'; make it with groupadd"):
        serve(folder / "control.sock", operate_group="nosuch")
    assert not (folder / "control.sock").exists()
