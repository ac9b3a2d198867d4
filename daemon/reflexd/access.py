"""Who asks at the control socket, and what that allows: read, operate or administer.

The kernel says who connected (SO_PEERCRED, SO_PEERGROUPS), as of the moment of connecting; nothing that a client
writes counts. PrivateUsers= in the unit would hide it: everyone would be 65534, who may only read.
"""

from __future__ import annotations

import grp
import os
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

SO_PEERGROUPS = 59                       # asm-generic/socket.h; Python has no name for it
CREDENTIALS = struct.Struct("=iII")      # struct ucred: pid, uid, gid
GROUPS_SIZE = 1024                       # bytes, the most that Python asks for: 256 groups


class Access(IntEnum):
    """What a peer may do; each includes the ones before."""

    READ = 1          # look, without effect on anything
    OPERATE = 2       # what somebody does who runs the machine
    ADMIN = 3         # what changes how it works


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that connected."""

    pid: int
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which groups may do more than read. Root and the daemon's own user may do everything."""

    operate: frozenset[int] = frozenset()
    admin: frozenset[int] = frozenset()

    def access(self, peer: Peer) -> Access:
        """Say how much a peer may do."""
        if peer.uid in (0, os.geteuid()) or peer.groups & self.admin:
            return Access.ADMIN
        return Access.OPERATE if peer.groups & self.operate else Access.READ


def peer_of(client: socket.socket) -> Peer:
    """Ask the kernel who connected. Raises: OSError."""
    pid, uid, gid = CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    try:
        more = client.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_SIZE)
    except OSError:      # more groups than that: the first one counts alone
        more = b""
    return Peer(pid, uid, frozenset({gid, *struct.unpack(f"={len(more) // 4}I", more)}))


def group_id(name: str) -> int:
    """Look a group up. Raises: LookupError that says what to do."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise LookupError(f"no group is called {name!r}; make it with groupadd, or name another one") from None
