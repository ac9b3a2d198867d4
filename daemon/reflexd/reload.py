"""Take another configuration over while running: validate, compare part by part, exchange what differs.

What is the same stays open and goes on: the decision loop does not wait for any of this. For what differs, in this
order: claims are released and safe levels driven; workers end and devices are closed; new outputs open at their safe
level, and reflexd-safe is left with the old ones and the new ones; other devices open, and rules of the new
configuration begin with no state. Where a device or network cannot be opened, the old configuration is put in place
again in the same way.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from time import monotonic, monotonic_ns, sleep

from reflexd import aftermath
from reflexd.actuating import PluggedJob
from reflexd.config.compare import SECTIONS, Change, changed_sections
from reflexd.config.load import ConfigError
from reflexd.config.settings import DaemonSettings, Settings
from reflexd.lifecycle import Daemon
from reflexd.networks import renewed
from reflexd.parts import Parts, Stays, only, what_stays
from reflexd.rules.asked import labels_of
from reflexd.rules.items import NS, Armed
from reflexd.rules.stage import Stage
from reflexd.sandbox import explained
from reflexd.wiring import Network, channels, missing
from reflexd.workers import OPEN_BOUND_NS, State, Worker
from reflexd_drivers.base import DriverError
from reflexd_models.base import ModelError

OPEN_S = 10.0          # within which what is new has to be opened: a person waits for the answer
GONE_S = OPEN_BOUND_NS / NS + 5     # a call that lasts longer has ended the process by then


class ReloadError(ValueError):
    """The old configuration runs on; the text says why."""


class Reloader:
    """Knows the configuration that runs, and what of it stands open."""

    def __init__(self, read: Callable[[], Settings], settings: Settings, daemon: Daemon) -> None:
        """`read` raises ConfigError."""
        self.settings = settings
        self._standing = settings        # less than that only while parts are exchanged
        self._read_files = read
        self.daemon = daemon
        self._one = threading.Lock()
        self._doing = "reload"           # or a swap: what is under way while the lock is held

    def reload(self) -> str:
        """Read the files anew and say what changed; takes its time, so not on the main thread. Raises: ReloadError."""
        with self.alone("reload"):
            return self._reload()

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Keep another reload or swap away meanwhile. Raises: ReloadError."""
        if not self._one.acquire(blocking=False):
            raise ReloadError(f"another {self._doing} is under way; ask again when it has ended")
        self._doing = what
        try:
            yield
        finally:
            self._one.release()

    def _reload(self) -> str:
        old, new = self.settings, self._read()
        changes = changed_sections(old, new)
        self._refuse(old, new)
        others = self._renewed(new)
        networks = self._load_networks(new, others)
        try:
            self._replace(old, new, networks, others)
        except ReloadError:
            raise
        except TimeoutError as error:
            self.daemon.wiring.reports.tell_fatal(f"a reload was cut off: {error}")
            raise ReloadError(str(error)) from None
        except Exception as error:      # of a driver, or ours: nobody knows what stands open now
            self.daemon.wiring.reports.tell_fatal(f"a reload: programming error: {error!r}\n{traceback.format_exc()}")
            raise ReloadError(f"programming error: {error!r}; every output goes safe and the process ends, see the log") from None
        self.settings = new
        if latched := latched_by(self.daemon):
            raise ReloadError(f"the new configuration was taken over, but every output is kept safe until a restart: {latched}")
        told = [described(changes)] if changes or not others else []
        return "; ".join([*told, *[f"model.{name}: another network" for name in sorted(others)]])

    def _renewed(self, new: Settings) -> frozenset[str]:
        """Name the models whose bundle is another by now. Raises: ReloadError."""
        try:
            return renewed(self.daemon.parts.models, new)
        except ModelError as error:
            raise ReloadError(f"{error}; the old configuration runs on") from None

    def _replace(self, old: Settings, new: Settings, networks: Mapping[str, Network], others: AbstractSet[str]) -> None:
        """Put the new configuration in place of the old one, or the old one in place again. Raises: ReloadError, TimeoutError."""
        try:
            self._wait_until_open(self._exchange(new, networks, others))
        except DriverError as error:
            self._restore(old)
            raise ReloadError(f"{explained(error)}; the old configuration runs again") from None

    def _read(self) -> Settings:
        try:
            return self._read_files()
        except ConfigError as error:
            raise ReloadError(f"the configuration is wrong, the old one runs on\n{error}") from None

    def _refuse(self, old: Settings, new: Settings) -> None:
        """Refuse what only a start can change. Raises: ReloadError."""
        fixed = [key for key in DaemonSettings.model_fields if key not in ("dry_run", "initially")
                 and getattr(old.daemon, key) != getattr(new.daemon, key)]
        if fixed:
            what = ", ".join(f"[daemon] {key}" for key in fixed)
            raise ReloadError(f"changed: {what}; that needs a restart (systemctl restart reflexd), the old configuration runs on")
        if latched := latched_by(self.daemon):
            raise ReloadError(f"every output is kept safe until a restart: {latched}; systemctl restart reflexd")

    def _load_networks(self, new: Settings, others: AbstractSet[str]) -> dict[str, Network]:
        """Load the networks that are new while the old ones still work. Raises: ReloadError."""
        stays = what_stays(self._standing, new, self.daemon.parts.models, others)
        networks = {}
        for name in new.model.keys() - stays.model:
            try:
                networks[name] = self.daemon.wiring.open_network(new.model[name], new, labels_of(new, name))
            except ModelError as error:
                raise ReloadError(f"model.{name}: {error}; the old configuration runs on") from None
        return networks

    def _exchange(self, new: Settings, networks: Mapping[str, Network],
                  others: AbstractSet[str] = frozenset()) -> Collection[Worker]:
        """Close what does not stay and open what is not there yet; give the workers of what is new.

        Raises: DriverError, when what stays stands alone; TimeoutError, when the loop does not turn.
        """
        daemon = self.daemon
        stays = what_stays(self._standing, new, daemon.parts.models, others)
        guarded = aftermath.actions(daemon.parts.actuators)
        leaving = daemon.loop.between_cycles(lambda: self._let_go(stays))
        self._close(leaving)
        coming = daemon.wiring.connect(new, missing(new.actuator, daemon.parts.actuators))
        wanted = aftermath.actions({**daemon.parts.actuators, **coming.actuators})
        try:
            aftermath.leave(aftermath.union(guarded, wanted))
        except DriverError:
            _close_all(coming)
            raise
        coming.join(daemon.wiring.make(new, daemon.parts, networks))
        daemon.loop.between_cycles(lambda: self._take_over(new, coming))
        daemon.evidence.follow(new, daemon.parts.cameras)
        if not latched_by(daemon):          # else what was let go may not be safe
            with suppress(DriverError):     # what was left guards more than it has to
                aftermath.leave(wanted)
        return coming.workers.values()

    def _let_go(self, stays: Stays) -> Parts:
        """Release claims, drive safe levels and take out what leaves; on the main thread."""
        daemon, now = self.daemon, monotonic_ns()
        leaving = daemon.leaving = daemon.parts.split(stays)
        sources = {*(f"camera.{name}" for name in leaving.cameras), *leaving.inboxes}
        outputs = daemon.loop.outputs
        outputs.let_go(leaving.actuators, "a reload closes it", now)
        outputs.apply(daemon.loop.stage.let_go(stays.rule, sources, now), now)
        self._standing = only(self._standing, stays)
        daemon.loop.rewire(daemon.loop.stage, daemon.parts, now)
        for worker in leaving.workers.values():
            worker.stop()
        return leaving

    def _close(self, leaving: Parts) -> None:
        """Wait until nothing of it is open. A call that never returns ends the process."""
        self.daemon.evidence.keeper.leave(leaving.cameras)
        for worker in leaving.workers.values():
            worker.join(GONE_S)
        for model in leaving.models.values():
            model.leave()
        for name, job in leaving.blocking.items():
            if isinstance(job, PluggedJob) and job.trouble:
                if job.driven:         # it may be active, wherever it is
                    self._latch(name, job.trouble)
                else:
                    job.write_off()
        for name, actuator in leaving.direct().items():
            try:
                actuator.close()
            except DriverError as error:
                self._latch(name, str(error))

    def _latch(self, name: str, why: str) -> None:
        """Keep every output safe: one that was let go may not be."""
        outputs = self.daemon.loop.outputs
        self.daemon.loop.between_cycles(lambda: outputs.failed_later(name, why, monotonic_ns()))

    def _take_over(self, new: Settings, coming: Parts) -> None:
        """Decide by the new configuration from now on; on the main thread."""
        daemon, now = self.daemon, monotonic_ns()
        daemon.parts.join(coming)
        daemon.tell_about(coming)
        daemon.leaving = Parts()
        stage = Stage(new, daemon.loop.stage)
        outputs = daemon.loop.outputs
        daemon.arming.take_over(new.daemon)
        daemon.history.take_over(new.events)
        if bool(daemon.arming.dry_run) != bool(outputs.dry_run):     # every claim ends at the gate, and for the rules
            stage.consume(Armed(daemon.arming.armed, now), now)
        outputs.drive(daemon.arming.dry_run, "a reload changed dry_run", now)
        outputs.take_over(channels(new, coming))
        daemon.loop.rewire(stage, daemon.parts, now)
        outputs.apply(stage.begin(), now)
        self._standing = new
        for worker in coming.workers.values():
            worker.start()

    @staticmethod
    def _wait_until_open(workers: Collection[Worker]) -> None:
        """Wait until everything new has been opened. Raises: DriverError that names what was not."""
        deadline = monotonic() + OPEN_S
        while waiting := [worker for worker in workers if not worker.opened]:
            for worker in waiting:
                late = monotonic() > deadline
                if late or worker.state in (State.DEGRADED, State.ENDED):
                    why = f"is not open after {OPEN_S:g} s" if late else worker.why
                    raise DriverError(f"{worker.job.name}: {why}")
            sleep(0.01)

    def _restore(self, old: Settings) -> None:
        """Put the old configuration in place again, with its networks loaded and its devices opened anew."""
        try:
            self._exchange(old, {})
        except (DriverError, TimeoutError) as error:
            self.daemon.wiring.reports.tell_fatal(f"neither the new configuration nor the old one could be opened: {error}")
            raise ReloadError(f"neither the new configuration nor the old one could be opened: {error}") from None


def latched_by(daemon: Daemon) -> str | None:
    """Say why every output is kept safe until a restart; None while it is not."""
    return daemon.loop.outputs.inhibited.get("latched")


def _close_all(parts: Parts) -> None:
    for actuator in parts.actuators.values():
        with suppress(DriverError):     # it stands safe since it was connected
            actuator.close()


def described(changes: Mapping[str, Change]) -> str:
    """Say in a line what a reload changed."""
    told = [f"{section}s: {_counted(changes[section])}" for section in (*SECTIONS, "rule") if section in changes]
    told += [f"[{section}] changed" for section in changes if section not in (*SECTIONS, "rule")]
    return "; ".join(told) or "nothing changed"


def _counted(change: Change) -> str:
    return f"{len(change.added)} added, {len(change.removed)} removed, {len(change.changed)} changed"
