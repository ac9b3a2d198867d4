"""What the log can tell: one kind of event each, with its priority and the id under which the catalog explains it.

`journalctl -x` shows the explanation from systemd/reflexd.catalog; a test holds the two together.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Priority(IntEnum):
    """As in syslog(3)."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


class Event(NamedTuple):
    """A kind of line."""

    name: str                # REFLEXD_EVENT
    priority: Priority
    message_id: str          # MESSAGE_ID
    folds: bool = False      # the same text again and again is written once, with a count


BEGIN = Event("begin", Priority.NOTICE, "3be38174ca344812ad35dc37d552d97f")
END = Event("end", Priority.NOTICE, "2d06a41dccb14aa988bc8b1b8f8f85b1")
FATAL = Event("fatal", Priority.CRITICAL, "a047f26c5f3f497e936aa7a87df18aa1")
REFUSED = Event("refused", Priority.ERROR, "1333dc467dfd479f97b7b722282c0347")
SOURCE_RUNS = Event("source-runs", Priority.NOTICE, "b3dc1c5c93094c128a148fd3070c2518", folds=True)
SOURCE_DEGRADED = Event("source-degraded", Priority.WARNING, "75624608cafc4667820f4fc9c9e595ba", folds=True)
PICTURE = Event("picture", Priority.WARNING, "0d3f1b8a6a9e4c7fb2c1d47d9a5e6f10", folds=True)
PICTURE_NORMAL = Event("picture-normal", Priority.NOTICE, "5c7e2f9b1d4a4e60a8f3b6c2d9e1f704", folds=True)
CLOCK_KNOWN = Event("clock-known", Priority.NOTICE, "9a5dcf9c1e1340088110fc212fc7c96a", folds=True)
CLOCK_UNKNOWN = Event("clock-unknown", Priority.WARNING, "2b50692091054c71b10123e0f26d1216", folds=True)
OUTPUT = Event("output", Priority.NOTICE, "635ee5e6d50446b3b0633dcf0974dfbe")
ALL_SAFE = Event("all-safe", Priority.WARNING, "14dc03738b9f486b940d3db589b69b20", folds=True)
PERMITTED = Event("permitted", Priority.NOTICE, "e8e840460dcc4654b5305255dd6c842e", folds=True)
NOT_SAFE = Event("not-safe", Priority.CRITICAL, "8460b6f254ce407695f0d5ccf4ae3941")
CONFIG_WARNING = Event("config-warning", Priority.WARNING, "ce087f12a8894610ad3a5be23867dccc")
UNREACHABLE = Event("unreachable", Priority.WARNING, "3cb4e9b9cf604013b3faa35c3f4d1358")
LAST_END = Event("last-end", Priority.WARNING, "e73e26908bb8421e94fbf908fb6f6e6a")
PAUSED = Event("paused", Priority.WARNING, "5f0c8d1e3d7b4c55a3f4b9f6f2a7c1de")
RELOADED = Event("reloaded", Priority.NOTICE, "9b6eddc5ca674bfba7f8086000770fe8")
NOT_RELOADED = Event("not-reloaded", Priority.ERROR, "d9ada20492a6478687243b4982178d15")
SWAPPED = Event("swapped", Priority.NOTICE, "c1a7e6b35d3f4a0f9d5b8f1e7a2c4d60")
NOT_SWAPPED = Event("not-swapped", Priority.ERROR, "7f3d90c2b8e14c5fa6d1e2b3c4f58a97")
TRIGGERED = Event("triggered", Priority.NOTICE, "4d0c6f3be1a24c07a8f5b2d97c31e86a")
ARMED = Event("armed", Priority.NOTICE, "e01f7a14413445af992ae0362076cf95")
DISARMED = Event("disarmed", Priority.NOTICE, "d2466b6ca704445c90844a1bd20c142e")
STATE = Event("state", Priority.NOTICE, "5632faf7eab04da3b7da2f97ea1adb3f")
EVENTS_WAIT = Event("events-wait", Priority.WARNING, "b5a1f0c37e2d4c08963f8d1a4be7c952")
EVENTS_STORED = Event("events-stored", Priority.NOTICE, "47c9e2d81b6f4a35a0d2f7c83e915b6a")
EVENTS_ASIDE = Event("events-aside", Priority.WARNING, "e62d9b70f4134f7c8b15a93d0c7e2f48")
EVIDENCE_LOST = Event("evidence-lost", Priority.WARNING, "0b7d5a9e41c84f6d93a2c6e8f15d7b34")
EVIDENCE_KEPT = Event("evidence-kept", Priority.NOTICE, "8e3c61f7a05b4d29b64f9d0c7e2a8135")
DROPPED = Event("lines-dropped", Priority.WARNING, "aa0f2c035a51468287e0bf9a4fde1a2c")

ALL = (BEGIN, END, FATAL, REFUSED, SOURCE_RUNS, SOURCE_DEGRADED, PICTURE, PICTURE_NORMAL, CLOCK_KNOWN, CLOCK_UNKNOWN, OUTPUT,
       ALL_SAFE, PERMITTED, NOT_SAFE, CONFIG_WARNING, UNREACHABLE, LAST_END, PAUSED, RELOADED, NOT_RELOADED, SWAPPED,
       NOT_SWAPPED, TRIGGERED, ARMED, DISARMED, STATE, EVENTS_WAIT, EVENTS_STORED, EVENTS_ASIDE, EVIDENCE_LOST, EVIDENCE_KEPT,
       DROPPED)
