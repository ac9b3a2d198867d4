"""May whoever runs the daemon open its devices? Groups count as the unit gives them, with all drop-ins."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from reflexd.doctor.context import Context
from reflexd.doctor.devices import named
from reflexd.doctor.pins import pins
from reflexd.doctor.table import Finding, finding


@dataclass(frozen=True)
class Person:
    """Whoever has to open devices: the service's user with the groups that its unit gives, or who runs this."""

    name: str
    uid: int
    groups: frozenset[int]

    def may_open(self, told: os.stat_result) -> bool:
        """Say whether the permissions let this person read and write. Access lists are not looked at."""
        whole = 0o6
        if told.st_uid == self.uid:
            return self.uid == 0 or (told.st_mode >> 6) & whole == whole
        shift = 3 if told.st_gid in self.groups else 0
        return self.uid == 0 or (told.st_mode >> shift) & whole == whole


def permissions(context: Context) -> Iterator[Finding]:
    """May the daemon's user open each device?"""
    wanted = [device.path for device in named(context)]
    if pins(context):
        wanted += [f"/dev/{one.name}" for one in sorted(context.path("/dev").glob("gpiochip*"))]
    if context.is_pi:
        wanted += [f"/dev/dma_heap/{one.name}" for one in sorted(context.path("/dev/dma_heap").glob("*"))]
    person = _person(context)
    if person is None:
        yield finding("user-missing", f"/etc/passwd has no user {context.unit.get('User')}")
        return
    for path in dict.fromkeys(wanted):
        if context.path(path).exists() and not person.may_open(told := context.path(path).stat()):
            yield _closed(context, path, told, person)


def _closed(context: Context, path: str, told: os.stat_result, person: Person) -> Finding:
    group = _names(context).get(told.st_gid, str(told.st_gid))
    found = f"{path} is {stat.filemode(told.st_mode)[1:]} of group {group}, closed to {person.name}"
    if told.st_mode & 0o060 == 0o060 and told.st_gid not in person.groups:
        return finding("user-not-in-group", found, group=group, user=person.name)
    return finding("device-closed", found, device=path)


def _person(context: Context) -> Person | None:
    unit = context.unit
    passwd = [line.split(":") for line in (context.read("/etc/passwd") or "").splitlines()]
    if not unit:
        name = next((one[0] for one in passwd if one[2:3] == [str(os.getuid())]), str(os.getuid()))
        return Person(name, os.getuid(), frozenset(os.getgroups()) | {os.getgid()})
    wanted = unit.get("User") or "root"
    user = next((one for one in passwd if one[0] == wanted and len(one) > 3), None)
    if user is None:
        return None
    given = {unit.get("Group", ""), *unit.get("SupplementaryGroups", "").split()}
    member = {gid for name, gid, members in _groups(context) if name in given or wanted in members}
    return Person(wanted, int(user[2]), frozenset(member) | {int(user[3])})


def _groups(context: Context) -> list[tuple[str, int, list[str]]]:
    lines = [line.split(":") for line in (context.read("/etc/group") or "").splitlines()]
    return [(one[0], int(one[2]), one[3].split(",")) for one in lines if len(one) == 4]


def _names(context: Context) -> dict[int, str]:
    return {gid: name for name, gid, _ in _groups(context)}
