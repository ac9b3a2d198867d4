"""What to do when the service's own sandbox is what refuses a device."""

from __future__ import annotations

import os


def explained(error: BaseException) -> str:
    """Write an error; where permission was refused to the service, with the drop-in that would give it."""
    refused = next((one for one in (error, error.__cause__) if isinstance(one, PermissionError)), None)
    if refused is None or "INVOCATION_ID" not in os.environ:      # set by systemd, see systemd.exec(5)
        return str(error)
    device = refused.filename if isinstance(refused.filename, str) else "/dev/NAME"
    return f"{error}; the service's sandbox may refuse it: systemctl edit reflexd, then [Service] DeviceAllow={device} rw"
