"""Who connects to the control socket decides what may be asked for."""

from __future__ import annotations

import grp
import json
import os
import socket
import subprocess
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
# Not Python: another user may not be allowed to read the environment in which the tests run.
ASK = """use IO::Socket::UNIX;
my $daemon = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\\n";
print $daemon qq({"v": 1, "verb": "$ARGV[1]"}\\n);
print scalar <$daemon>;
"""


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


def ask_as(groups: list[int], path: Path, verb: str) -> str:
    """Ask as nobody, who is in these groups besides; give the result, or the error."""
    done = subprocess.run(["perl", "-e", ASK, str(path), verb], capture_output=True, text=True, check=False, timeout=30,
                          user=NOBODY, group=NOBODY, extra_groups=groups, cwd="/")
    if done.returncode:
        return done.stderr.strip()
    answer = json.loads(done.stdout)
    return str(answer["result"] if answer["ok"] else answer["error"])


@pytest.mark.fault("F72", bound="one request", outcome="refused with the group that may")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_f72_another_user_reads_a_member_of_the_group_operates_and_only_an_admin_changes(folder: Path) -> None:
    path = folder / "control.sock"
    staff, games = grp.getgrnam("staff").gr_gid, grp.getgrnam("games").gr_gid
    server = serve(path, socket_mode="0666", operate_group="staff", admin_group="games")
    try:
        assert [ask_as([], path, verb) for verb in ("look", "run")] == [
            "look", "this user may read, and run needs operate; use sudo, or see operate_group in [daemon]"]
        assert ask_as([staff], path, "run") == "run"
        assert "this user may operate, and change needs admin" in ask_as([staff], path, "change")
        assert ask_as([games], path, "change") == "change"
    finally:
        server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_who_is_not_in_the_sockets_group_cannot_connect(folder: Path) -> None:
    path = folder / "control.sock"
    server = serve(path, socket_group="staff")
    try:
        assert oct(path.stat().st_mode & 0o777) == "0o660"
        assert ask_as([], path, "look") == "Permission denied"
        assert ask_as([grp.getgrnam("staff").gr_gid], path, "run") == "run", "the socket's own group operates by default"
    finally:
        server.close()


def test_a_group_that_does_not_exist_says_so(folder: Path) -> None:
    with pytest.raises(ControlError, match=r"\[daemon\]: no group is called 'nosuch'; make it with groupadd"):
        serve(folder / "control.sock", operate_group="nosuch")
    assert not (folder / "control.sock").exists()
