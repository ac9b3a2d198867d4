"""Fetch a file whose size and hash are known, with nothing but the standard library. The daemon never imports this.

A connection that breaks is taken up where it broke, a few times; nothing is written before all is there and right. What the
server says is believed in nothing but the bytes, which the hash judges: more than were expected are not even read.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import IO, Any

from reflexd_models.base import ModelError
from reflexd_models.catalogue import Entry, is_safe, verify
from reflexd_models.files import reason

PIECE = 1 << 16
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is borne with."""

    silent_s: float = 20.0       # without a byte
    slowest: int = 2048          # bytes a second, over the whole; on top of `silent_s`
    tries: int = 4
    pause_s: float = 1.0         # before the second try, and twice that before the next


class _BrokenError(Exception):
    """The connection broke; what came until then stands."""


def fetch(entry: Entry, tell: Tell, patience: Patience | None = None) -> bytes:
    """Give the file of a catalogue's entry; `tell` hears how many bytes are there. Raises: ModelError."""
    patience = patience or Patience()
    got, why = bytearray(), ""
    deadline = monotonic() + patience.silent_s + entry.size / patience.slowest
    for attempt in range(patience.tries):
        if attempt:
            sleep(patience.pause_s * 2 ** (attempt - 1))
        try:
            _take(entry, got, tell, patience, deadline)
            break
        except _BrokenError as broken:
            why = str(broken)
        if monotonic() > deadline:
            break
    if len(got) != entry.size:
        raise ModelError(f"{entry.address}: {why or 'it is cut off'}, {len(got)} of {entry.size} bytes came; {by_hand(entry)}")
    content = bytes(got)
    try:
        verify(entry, content, entry.address)
    except ModelError as problem:
        raise ModelError(f"{problem}, or {by_hand(entry)}") from None
    return content


def by_hand(entry: Entry) -> str:
    """Say how to do without this machine's network."""
    return (f"to bring the file by hand fetch that address elsewhere (sha256 {entry.sha256}), and give it with --from FILE; "
            "any other file goes with reflexctl model add FILE")


def _take(entry: Entry, got: bytearray, tell: Tell, patience: Patience, deadline: float) -> None:
    """Read on from where it broke. Raises: _BrokenError, ModelError."""
    headers = {"User-Agent": "reflexctl", "Accept-Encoding": "identity", **({"Range": f"bytes={len(got)}-"} if got else {})}
    try:
        with _opener().open(urllib.request.Request(entry.address, headers=headers), timeout=patience.silent_s) as answer:   # noqa: S310
            if got and not _goes_on(answer, len(got)):
                got.clear()
            _read_all(answer, entry, got, tell, deadline)
    except urllib.error.HTTPError as problem:
        said = reason(ValueError(f"the server answers {problem.code} {problem.reason}"))
        if problem.code in (408, 416, 429) or problem.code >= 500:
            got.clear()          # 416: what it has is not what it had
            raise _BrokenError(said) from None
        raise ModelError(f"{entry.address}: {said}; {by_hand(entry)}") from None
    except (OSError, http.client.HTTPException, ValueError) as problem:     # ValueError: an address in a redirect that is none
        cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
        said = reason(cause) if isinstance(cause, BaseException) else str(cause)
        raise _BrokenError(f"cannot be fetched: {said}") from None


def _read_all(answer: http.client.HTTPResponse, entry: Entry, got: bytearray, tell: Tell, deadline: float) -> None:
    while piece := answer.read1(PIECE):
        got += piece
        if len(got) > entry.size:
            raise ModelError(f"{entry.address}: gives more than the {entry.size} bytes of the catalogue, so it is another file; "
                             f"{by_hand(entry)}")
        tell(len(got))
        if monotonic() > deadline:
            raise _BrokenError("is given up, it is too slow")
    if len(got) < entry.size:
        raise _BrokenError("it broke off")


def _goes_on(answer: Any, at: int) -> bool:   # noqa: ANN401  urllib's own
    """Say whether a server sends the rest; others begin anew."""
    return answer.status == 206 and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {at}-")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow to where https goes only."""

    max_redirections = 5

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,   # noqa: ANN401
                         newurl: str) -> urllib.request.Request | None:
        if not is_safe(newurl) or (req.full_url.startswith("https:") and not newurl.startswith("https:")):
            raise ModelError(f"{req.full_url}: leads to {newurl[:200]}, which is not https; "
                             "fetch the file elsewhere and use --from FILE")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Follow http and https, and no other kind that urllib knows (file:, ftp:, data:); proxies as the environment has them."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
                    urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(), _SafeRedirects()):
        opener.add_handler(handler)
    return opener
