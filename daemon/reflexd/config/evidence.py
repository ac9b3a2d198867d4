"""The shape of [evidence]: frames before and after an event, and what was decided meanwhile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reflexd.config.scene import Table

Names = Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
BYTES_A_PX = 0.2       # of a JPEG at quality 75, with some room: photographs of 512 to 1280 px take 0.06 to 0.16 when 640 px wide
USUAL_QUALITY = 75


class EvidenceSettings(Table):
    """[evidence]: frames before and after a rule fires, as a folder for each event; without this table nothing is kept."""

    before_s: float = Field(default=5, ge=0, le=60, description="frames from so long before a rule fired")
    after_s: float = Field(default=5, ge=0, le=60, description="and until so long after it")
    rate_hz: float = Field(default=2, ge=0.1, le=30, description="frames a second of each camera that are kept at most")
    size_px: int = Field(default=640, ge=32, le=4096, description="longest side of a frame that is kept; never enlarged")
    quality: int = Field(default=75, ge=10, le=95, description="of the JPEG files")
    cameras: Names | None = Field(default=None, description="names of the cameras whose frames are kept; default: all")
    rules: Names | None = Field(default=None, description="names of the rules that evidence is kept of; default: all")
    memory_mb: float = Field(default=16, ge=1, le=1024, description="frames in memory take no more, of all cameras together")
    keep_days: float = Field(default=30, gt=0, le=36_500, description="older evidence goes; its event stays")
    keep_mb: float = Field(default=500, ge=1, le=1_000_000, description="the oldest evidence goes where there is more")
    keep_least: int = Field(default=5, ge=0, le=10_000, description="the newest that are kept all the same")

    @property
    def spans_s(self) -> float:
        """How long the frames of one event reach."""
        return self.before_s + self.after_s

    def frames_bytes(self, cameras: int) -> float:
        """Estimate what the frames of one event take, of pictures that are three quarters as high as wide."""
        frames = self.spans_s * self.rate_hz + 1
        return cameras * frames * self.size_px ** 2 * 0.75 * BYTES_A_PX * (self.quality / USUAL_QUALITY) ** 2
