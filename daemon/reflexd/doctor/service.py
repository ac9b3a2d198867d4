"""The service and the daemon: does it run, how did it end, what does it say, and does its sandbox hold?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reflexd.doctor.context import Context
from reflexd.doctor.storage import DEFAULT_STATE_DIR
from reflexd.doctor.table import Finding, finding
from reflexd.protocol import ControlError, ask

SANDBOX_S = 5.0
# What no drop-in has a reason to change; the others of the unit are tried from inside, or a driver may need them.
WANTED = {"PrivateNetwork": "yes", "RestrictAddressFamilies": "AF_UNIX", "DevicePolicy": "closed", "ProtectSystem": "strict",
          "NoNewPrivileges": "yes", "MemoryDenyWriteExecute": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
          "RestrictSUIDSGID": "yes", "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes"}
NOT_WRITABLE = ("/etc", "/usr", "/boot", "/root", "/home", "/dev")


def unit(context: Context) -> Iterator[Finding]:
    """Is the service installed, and how is it?"""
    told = context.unit
    if not told:
        try:
            context.outside.unit()
        except Exception as error:    # no systemctl, no bus, a container
            yield finding("no-systemd", f"systemctl show: {error}")
        else:
            yield finding("service-missing", "systemd knows no reflexd.service")
        return
    if told.get("ActiveState") == "failed":
        yield finding("service-failed", f"it ended by {told.get('Result')} with status {told.get('ExecMainStatus')}")
    elif told.get("ActiveState") == "inactive":
        yield finding("service-stopped", "reflexd.service is not active")
    if told.get("UnitFileState") == "disabled":
        yield finding("service-not-enabled", "reflexd.service is disabled")
    if int(told.get("NRestarts", 0)):
        yield finding("service-restarted", f"restarts since it was started by hand or at boot: {told['NRestarts']}")
    if told.get("NeedDaemonReload") == "yes":
        yield finding("unit-changed", "systemd works by the old one")


def last_end(context: Context) -> Iterator[Finding]:
    """Did the last run end badly? The record is taken away by the next start."""
    from reflexd.aftermath import ended
    from reflexd.safe_state import RECORD

    if told := ended(context.path(f"{DEFAULT_STATE_DIR}/{RECORD}")):
        yield finding("last-end", told)


def drop_ins(context: Context) -> Iterator[Finding]:
    """Does a drop-in take away what the unit forbids?"""
    told = context.unit
    for key, wanted in WANTED.items():
        if key in told and told[key] != wanted:
            yield _weakened(context, key, told[key] or "empty")
    paths = [path.lstrip("-+") for path in told.get("ReadWritePaths", "").split()]
    for path in paths:
        if path == "/" or any(f"{path}/".startswith(f"{top}/") for top in NOT_WRITABLE):
            yield _weakened(context, "ReadWritePaths", path)


def _weakened(context: Context, key: str, value: str) -> Finding:
    files = [path for path in context.unit.get("DropInPaths", "").split() if f"{key}=" in (context.read(path) or "")]
    file = " ".join(files) or context.unit.get("FragmentPath", "the unit")
    return finding("sandbox-weakened", f"{key}={value} in {file}", key=key, file=file)


def daemon(context: Context) -> Iterator[Finding]:
    """What does the running daemon say of itself?"""
    if isinstance(context.answer, ControlError):
        yield _unreachable(context, str(context.answer))
        return
    told = context.status
    for kind in ("camera", "model", "sensor"):
        for name, one in told.get(f"{kind}s", {}).items():
            if one["state"] != "run":
                yield finding("daemon-degraded", f"{kind} {name}: {one['state']}: {one['why']}", name=f"{kind}.{name}")
    for why in told.get("inhibited", {}).values():
        yield finding("daemon-safe", why)
    if why := str(told.get("dry_run") or ""):
        yield finding("disarmed" if why.startswith("disarmed") else "dry-run", why, file=context.config)


def _unreachable(context: Context, why: str) -> Finding:
    if "may not ask" in why:
        return finding("daemon-closed", why)
    if context.unit.get("ActiveState") == "active":
        return finding("daemon-silent", why)
    return finding("daemon-missing", why, file=context.config)


def sandbox(context: Context) -> Iterator[Finding]:
    """Let the daemon try what its sandbox has to refuse, and what it has to allow."""
    if not context.status:
        return
    try:
        told = ask(context.socket, "sandbox", timeout_s=SANDBOX_S)
    except ControlError as error:
        yield finding("sandbox-unknown", str(error))
        return
    if not told["service"]:
        yield finding("sandbox-none", f"process {context.pid} was not started by systemd")
        return
    yield from (_open(context, one) for one in told["attempts"] if not one["held"])


def _open(context: Context, attempt: dict[str, Any]) -> Finding:
    what, why = attempt["what"], attempt["why"]
    if attempt["kind"] == "state":
        return finding("sandbox-state", f"{what}: {why}", user=context.unit.get("User", "reflexd"), path=Path(what))
    told = f"not refused by the sandbox, but {why} by something else" if why else "it was done"
    return finding(f"sandbox-{attempt['kind']}", f"{what}: {told}")
