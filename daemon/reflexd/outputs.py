"""The gate: the one place that writes actuators, and what bounds every activation (S2).

An output is active while it is not at its safe level. It is active only while a claim lives, nothing
inhibits it, it has not run into max_on_s, it rested for min_off_s, and no interlocked partner is
active. settle() is called after every change and at every deadline; it lets go before it activates.
A pattern is one activation: in its pauses the actuator stands at its safe level, and the output counts as active.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from reflexd.events import ALL_SAFE, NOT_SAFE, OUTPUT, PERMITTED, TRIGGERED, Event
from reflexd.output import NEVER, Change, Channel, Output
from reflexd.rules.items import NS, TEST, Claim, Command, Fired, Inhibit, Lift, Permit, Release, Triggered
from reflexd_drivers.base import ActuatorSettings, DriverError

RETRY_NS = NS // 2          # between two tries to set a failed actuator safe


class Outputs:
    """Every actuator behind one gate."""

    def __init__(self, channels: Mapping[str, tuple[ActuatorSettings, Channel]], dry_run: str = "") -> None:
        """Take over actuators that stand at their safe level. `dry_run` says why none is driven."""
        self.outputs: dict[str, Output] = {}
        self.dry_run = dry_run
        self.inhibited: dict[str, str] = {}
        self.due: int | None = None      # when settle() has to be called next, monotonic ns
        self.new_id: Callable[[], str] = str     # names what happens; "" until somebody keeps it
        self.events: dict[str, str] = {}         # id of the last event of each rule
        self._permits: dict[str, int] = {}
        self.changes: deque[Change] = deque(maxlen=1000)   # for the log, written once every output stands
        self._groups: dict[str, list[Output]]
        self._rested: dict[str, int] = {}     # since when those rest that were let go and may come back
        self._leaving: list[Output] = []      # let go, and not known to be safe yet: a partner waits for them
        self.take_over(channels)

    def let_go(self, names: Iterable[str], why: str, now: int) -> None:
        """Set outputs safe, and drive them no more. One that fails makes every output safe for good."""
        for name in names:
            self.outputs[name].end_all()
            self.outputs[name].leaving = why
        self.settle(now)
        for name in names:
            output = self.outputs.pop(name)
            self.inhibited.pop(f"actuator.{name}", None)
            self._rested[name] = output.rested_since
            self._leaving.append(output)
        self._regroup()

    def take_over(self, channels: Mapping[str, tuple[ActuatorSettings, Channel]]) -> None:
        """Drive these from now on; they stand at their safe level. What was let go rests on for its min_off_s."""
        for name, (settings, channel) in channels.items():
            self.outputs[name] = Output(name, settings, channel, settings.safe, rested_since=self._rested.pop(name, NEVER))
        self._regroup()

    def drive(self, dry_run: str, why: str, now: int) -> None:
        """Drive outputs from now on, or not. What was decided before does not act after it: every output goes safe first."""
        if bool(dry_run) != bool(self.dry_run):
            for output in self.outputs.values():
                output.end_all()
                output.leaving = why
            self.settle(now)
            for output in self.outputs.values():
                output.leaving = ""
        self.dry_run = dry_run

    def _regroup(self) -> None:
        self._groups = {}
        for output in self.outputs.values():
            if output.settings.interlock:
                self._groups.setdefault(output.settings.interlock, []).append(output)

    def apply(self, commands: Iterable[Command], now: int) -> None:
        """Take the commands of one decision over and bring the outputs to what they ask for.

        What keeps outputs safe is carried out before the next command, which may permit them again: a stop that was pressed
        for a moment only, or a permission that lapsed while the loop was held up, is no less of an end.
        """
        if any(until <= now for until in self._permits.values()):
            self.settle(now)
        for command in sorted(commands, key=lambda one: not isinstance(one, Fired)):    # an event has its id before it is told
            self._take(command, now)
            if isinstance(command, Inhibit):
                self.settle(now)
        self.settle(now)

    def _take(self, command: Command, now: int) -> None:
        if isinstance(command, Claim):
            self._claim(self.outputs[command.actuator], command, now)
        elif isinstance(command, Release):
            if command.actuator in self.outputs:      # it may have been let go
                self.outputs[command.actuator].end(command.rule)
        elif isinstance(command, Permit):
            self._permit(command)
        elif isinstance(command, Fired):
            self.events[command.rule] = self.new_id()     # its claims are what is driven
        elif isinstance(command, Triggered):
            seconds, why = (command.due - now) / NS, "; ".join(map(str, command.reasons))
            self._tell(TRIGGERED, f'rule "{command.rule}" acts in {seconds:g} s, unless something ends that: {why}')
        elif isinstance(command, Lift):
            self.inhibited.pop(command.by, None)
            self._permits.pop(command.by, None)
        else:
            self._inhibit(command.by, command.why)

    def _claim(self, output: Output, claim: Claim, now: int) -> None:
        before = output.claims.get(claim.rule)
        if before is not None and before.until <= now:      # it lapsed, and nobody looked since: no renewal, but a new one
            output.end(claim.rule)
        output.claims[claim.rule] = claim
        if claim.rule != TEST and output.end(TEST) is not None:   # a rule takes over from a test, for good
            output.cause = claim
            if claim.level == output.level:      # nothing is driven that would tell it
                self.changes.append(Change(OUTPUT, output.name, output.level, claim, bool(self.dry_run), self._event_of(output)))

    def _permit(self, command: Permit) -> None:
        if self.inhibited.pop(command.by, None) is not None:
            self._tell(PERMITTED, f"{command.by} permits outputs")
        self._permits[command.by] = command.until

    def _inhibit(self, by: str, why: str) -> None:
        if by not in self.inhibited:
            self._tell(ALL_SAFE, f"every output safe: {why}")
        self.inhibited[by] = why
        self._permits.pop(by, None)

    def latch(self, why: str) -> None:
        """Keep every output safe until the daemon is started anew."""
        self._inhibit("latched", why)

    def look(self, now: int) -> None:
        """See whether the world followed each output; where it did not, every output is safe for good."""
        for output in list(self.outputs.values()):
            try:
                output.channel.check(now)
            except DriverError as error:
                self.astray(output.name, str(error), now)
            else:
                output.astray = None

    def astray(self, name: str, why: str, now: int) -> None:
        """Hear that the world did not follow an output: once for each level that it should have."""
        output = self.outputs.get(name)
        if output is None or output.astray == output.driven:
            return
        output.astray = output.driven
        self.latch(f"actuator {name} was not followed: {why}")
        if output.driven == output.settings.safe:
            self._tell(NOT_SAFE, f"{name} may not be safe: {why}", name)
        self.settle(now)

    def settle(self, now: int) -> None:
        """Bring every output to the level that claims and bounds allow at this moment: safe ones first."""
        self._lapse_permits(now)
        self._look_at_channels()
        self._leaving = [output for output in self._leaving if self._still_leaving(output)]
        while self._pass(now):   # a failed write makes all safe; one that let go makes room for its partner
            pass
        self.due = self._next_deadline(now)

    def _pass(self, now: int) -> bool:
        """Drive what differs from what is wanted. Returns True when what is wanted may have changed by that."""
        wanted = {output.name: self._wanted(output, now) for output in self.outputs.values()}
        for group in self._groups.values():
            self._interlock(group, wanted)
        for output in self.outputs.values():
            output.begin_pattern(wanted[output.name], now)
        moves = [output for output in self.outputs.values() if self._moves(output, wanted[output.name], now)]
        moves.sort(key=lambda output: wanted[output.name] != output.settings.safe)
        again = False
        for output in moves:
            if not self._drive(output, wanted[output.name], now):
                return True
            again = again or (output.settings.interlock is not None and not output.active)
        return again

    def _look_at_channels(self) -> None:
        """Keep every output safe while an actuator that can be plugged in again is absent; it permits them by itself."""
        for output in self.outputs.values():
            by, failures, trouble = f"actuator.{output.name}", output.channel.failures, output.channel.trouble
            if failures != output.failures:
                output.failures = failures
                self._inhibit(by, f"actuator {output.name} failed: {trouble or 'for a moment'}")
            elif trouble:
                self.inhibited[by] = f"actuator {output.name}: {trouble}"
            elif self.inhibited.pop(by, None) is not None and failures:
                self._tell(PERMITTED, f"actuator {output.name} works again and permits outputs")

    def _lapse_permits(self, now: int) -> None:
        """End what was permitted until now: what is not known to permit, inhibits."""
        for by in [by for by, until in self._permits.items() if until <= now]:
            self._inhibit(by, f"{by} has not been confirmed in time")

    def _wanted(self, output: Output, now: int) -> float:
        """Give the level that this output may have now, interlocks aside."""
        self._lapse_claims(output, now)
        if self.inhibited:
            output.end_all()
        if not output.claims:
            output.tripped = False
            return output.settings.safe
        level = output.winner.level
        held = level == output.settings.safe or self._overrun(output, now) or self._resting(output, now) or output.through(now)
        return output.settings.safe if held else level

    def _lapse_claims(self, output: Output, now: int) -> None:
        """Drop the claims that were not renewed in time."""
        for rule in [rule for rule, claim in output.claims.items() if claim.until <= now]:
            output.end(rule)

    def _overrun(self, output: Output, now: int) -> bool:
        """Say whether the output has been active for as long as it may; then it rests until no claim is left."""
        bound = output.settings.max_on_s
        if bound is not None and output.active and now - output.active_since >= round(bound * NS):
            output.tripped = True
        return output.tripped

    def _resting(self, output: Output, now: int) -> bool:
        """Say whether the output has to rest before it may be active again."""
        if output.active or output.rested_since == NEVER:
            return False
        return now - output.rested_since < round(output.settings.min_off_s * NS)

    def _interlock(self, group: list[Output], wanted: dict[str, float]) -> None:
        """Leave one of a group active: the highest priority, then the one that is active already."""
        rivals = [output for output in group if wanted[output.name] != output.settings.safe]
        rivals.sort(key=lambda output: (-output.winner.priority, not output.active))
        for output in rivals[1:]:
            wanted[output.name] = output.settings.safe
        gone = [output for output in self._leaving if output.settings.interlock == group[0].settings.interlock]
        if rivals and any(self._still_leaving(other) for other in (*group, *gone) if other is not rivals[0]):
            wanted[rivals[0].name] = rivals[0].settings.safe

    def _still_leaving(self, output: Output) -> bool:
        """Say whether an output that should be safe is not known to be safe yet."""
        return output.active or output.failed or not output.channel.settled

    def hindrance(self, output: Output, now: int) -> str:
        """Say why an output that no rule claims could not be active now; empty when it could."""
        if self.dry_run:
            return f"no output is driven: {self.dry_run}"
        if self.inhibited:
            return f"every output is kept safe: {next(iter(self.inhibited.values()))}"
        if self._resting(output, now):
            left = round(output.settings.min_off_s * NS) - (now - output.rested_since)
            return f"it rests for {left / NS:.1f} s more, as min_off_s = {output.settings.min_off_s:g} says"
        group = output.settings.interlock
        partners = [one for one in (*self.outputs.values(), *self._leaving)
                    if group is not None and one.settings.interlock == group and one is not output]
        held = [one.name for one in partners if one.claims or self._still_leaving(one)]
        return f"it is interlocked with {held[0]}, which is claimed or not known to be safe" if held else ""

    def unsettled(self) -> list[str]:
        """Name the outputs whose last command failed or has not been carried out."""
        outputs = (*self._leaving, *self.outputs.values())
        return [output.name for output in outputs if output.failed or not output.channel.settled]

    def _moves(self, output: Output, wanted: float, now: int) -> bool:
        if output.failed:
            return now >= output.retry_at
        return wanted != output.level or output.pauses(wanted, now) != output.paused

    def _drive(self, output: Output, level: float, now: int) -> bool:
        """Write one actuator. Returns False when that failed, which makes every output safe for good."""
        paused = output.pauses(level, now)
        try:
            if paused or level == output.settings.safe:
                output.channel.safe()
            elif not self.dry_run:
                output.channel.set(level)
        except DriverError as error:
            self._failed(output, str(error), now)
            return False
        output.paused = paused
        if level != output.level or output.failed:
            self._note(output, level, now)
        return True

    def _failed(self, output: Output, why: str, now: int) -> None:
        output.failed, output.retry_at = True, now + RETRY_NS
        self.latch(f"actuator {output.name} did not take its level: {why}")

    def failed_later(self, name: str, why: str, now: int) -> None:
        """Hear from the worker of a blocking actuator that a write failed."""
        if name in self.outputs:
            self._failed(self.outputs[name], why, now)
        else:     # let go meanwhile
            self.latch(f"actuator {name} did not take its level: {why}")
        self.settle(now)

    def _note(self, output: Output, level: float, now: int) -> None:
        """Record a level that was driven, and tell why."""
        was_active, output.level, output.failed = output.active, level, False
        if output.active and not was_active:
            output.active_since = now
        elif was_active and not output.active:
            output.rested_since = now
            output.end(TEST)      # one that was cut short is over
        before, output.cause = output.cause, output.winner if output.active else self._reason_safe(output, now)
        if was_active and _follows_on(before, output.cause):
            return
        output.changes += 1
        claim = output.winner if output.claims else None
        overran = claim.rule if claim and was_active and output.tripped else ""
        event_id = self.new_id() if overran else self._event_of(output)
        self.changes.append(Change(OUTPUT, output.name, output.level, output.cause, bool(self.dry_run), event_id, overran))

    def _event_of(self, output: Output) -> str:
        """Name the event that a change belongs to: the one of the rule that drives it, or did until now."""
        if isinstance(output.cause, Claim):
            output.event_id = self.events.get(output.cause.rule, "")
        return output.event_id

    def _tell(self, event: Event, text: str, output: str = "") -> None:
        """Note what is no change of one level."""
        self.changes.append(Change(event, output, 0.0, text, event_id=self.new_id()))

    def _reason_safe(self, output: Output, now: int) -> str:
        if self.inhibited:
            return next(iter(self.inhibited.values()))
        if output.leaving:
            return output.leaving
        if output.tripped:
            return f"it was active for max_on_s = {output.settings.max_on_s:g}"
        return self._reason_to_wait(output, now) if output.claims else "no rule claims it"

    @staticmethod
    def _reason_to_wait(output: Output, now: int) -> str:
        if output.winner.level == output.settings.safe:
            return f'rule "{output.winner.rule}" wants it so'
        if output.through(now):
            return f'the pattern of rule "{output.winner.rule}" is through'
        return "it has to wait for min_off_s or an interlock"

    def _next_deadline(self, now: int) -> int | None:
        """Find when something lapses by itself; None when only an item can change anything."""
        due = list(self._permits.values())
        for output in self.outputs.values():
            due += [claim.until for claim in output.claims.values()]
            if (edge := output.edge(now)) is not None:
                due.append(edge)
            if output.failed:
                due.append(output.retry_at)
            if f"actuator.{output.name}" in self.inhibited:
                due.append(now + RETRY_NS)
            if output.active and output.settings.max_on_s is not None and not output.tripped:
                due.append(output.active_since + round(output.settings.max_on_s * NS))
            if output.claims and not output.active and output.rested_since != NEVER:
                due.append(output.rested_since + round(output.settings.min_off_s * NS))
        return min((one for one in due if one > now), default=None)

    def make_safe(self, why: str, now: int) -> None:
        """Set every output safe on the way out; one that fails does not keep the others from it."""
        self.inhibited["leaving"] = why
        for output in self.outputs.values():
            output.end_all()
            try:
                output.channel.safe()
                output.level, output.paused = output.settings.safe, False
            except Exception as error:    # a mistake in one driver keeps no other output from its safe level
                self._tell(NOT_SAFE, f"{output.name} may not be safe: {error}", output.name)


def _follows_on(before: Claim | str, cause: Claim | str) -> bool:
    """Say whether a level went on with the value that it follows, which is no news."""
    return isinstance(before, Claim) and isinstance(cause, Claim) and cause.follows and before.rule == cause.rule
