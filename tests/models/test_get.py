"""Networks are fetched from a server that is slow, cut, wrong or gone: what is not the right file is never installed."""

import argparse
import hashlib
import http.server
import io
import json
import threading
import time

import pytest

from reflexd.ctl import model as verb
from reflexd.ctl.model.get import Progress
from reflexd_models import catalogue, download
from reflexd_models.bundle import find_bundle, open_model, zoo
from reflexd_models.download import Patience, fetch
from reflexd_models.tasks import classify
from tests.models.helpers import error_of

NETWORK = (zoo() / "meter" / "meter.tflite").read_bytes()
HASTY = Patience(silent_s=2.0, pause_s=0.01)


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the network in as many wrong ways as its path says."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, f"do_{self.path.partition('?')[0][1:].replace('-', '_')}")()

    def log_message(self, *words):
        pass

    def send(self, content, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def rest(self):
        wanted = self.headers.get("Range")
        return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0

    def do_good(self):
        self.send(NETWORK)

    def do_cut(self):
        """Break off every time, and go on where it broke."""
        at = self.rest()
        part = NETWORK[at : at + 30_000]
        self.send(part, 206 if at else 200, len(NETWORK) - at, Content_Range=f"bytes {at}-{len(NETWORK) - 1}/{len(NETWORK)}")

    def do_cut_once(self):
        """Break off once, and then begin anew, as a server does that knows no ranges."""
        first = len(self.server.asked) == 1
        self.send(NETWORK[:20_000] if first else NETWORK, 200, len(NETWORK))

    def do_always_cut(self):
        self.send(NETWORK[:1000], 200, len(NETWORK))

    def do_short(self):
        self.send(NETWORK[:-1])

    def do_wrong(self):
        self.send(NETWORK[:-1] + b"x")

    def do_wrong_range(self):
        """Say 206 and give another part than was asked for."""
        self.send(NETWORK[:20_000], 206, len(NETWORK), Content_Range="bytes 5-20/30") if self.rest() else self.do_always_cut()

    def do_large(self):
        self.send_response(200)
        self.end_headers()
        try:
            while self.server.large:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            self.server.large = False

    def do_slow(self):
        self.send_response(200)
        self.end_headers()
        try:
            for byte in NETWORK:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass

    def do_silent(self):
        self.server.go.wait(20)

    def do_gone(self):
        self.send(b"not here", 404)

    def do_busy(self):
        self.send(b"", 503)

    def do_moved(self):
        self.send(b"", 302, Location="/good")

    def do_to_a_file(self):
        self.send(b"", 302, Location="file:///etc/passwd")

    def do_to_plain_http(self):
        self.send(b"", 301, Location="http://example.org/net.tflite")

    def do_around(self):
        self.send(b"", 302, Location=f"/around?{len(self.server.asked)}")

    def do_junk(self):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as one:
        one.asked, one.go, one.large, one.daemon_threads = [], threading.Event(), True, True
        thread = threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield one
        one.go.set()
        one.large = False
        one.shutdown()
        thread.join()


def entry(server, way, **more):
    table = {"what": "digits", "address": f"http://127.0.0.1:{server.server_port}/{way}", "size": len(NETWORK),
             "sha256": hashlib.sha256(NETWORK).hexdigest(), "licence": "Apache-2.0", "task": "classify",
             "labels": [*"0123456789", "between"], **more}
    return catalogue.Entry.model_validate(table)


@pytest.mark.parametrize("way", ["good", "cut", "cut-once", "moved"])
def test_the_file_comes_whole_however_often_it_breaks(server, way):
    heard = []
    assert fetch(entry(server, way), heard.append, HASTY) == NETWORK
    assert heard[-1] == len(NETWORK)
    ranges = [wanted for _, wanted in server.asked]
    wanted = {"cut": [None, "bytes=30000-", "bytes=60000-"], "cut-once": [None, "bytes=20000-"], "moved": [None, None]}
    assert ranges == wanted.get(way, [None])


@pytest.mark.parametrize(("way", "said"), [
    ("always-cut", "1000 of 75904 bytes came"), ("wrong-range", "of 75904 bytes came"),
    ("short", "75903 of 75904 bytes came"),
    ("wrong", "is not the file of the catalogue"), ("large", "gives more than the 75904 bytes"),
    ("gone", "the server answers 404"),
    ("busy", "the server answers 503"), ("to-a-file", "is not allow"),
    ("to-plain-http", "leads to http://example.org/net.tflite, which is not https"), ("around", "the server answers 302"),
    ("junk", "cannot be fetched")])
def test_what_is_not_the_file_is_refused_and_how_to_go_on_is_told(server, way, said):
    line = error_of(lambda: fetch(entry(server, way), lambda got: None, HASTY))
    assert said in line
    assert "--from FILE" in line
    assert way not in ("gone", "wrong", "large", "to-a-file") or len(server.asked) == 1, "asking again would not help"


@pytest.mark.parametrize("way", ["slow", "silent"])
def test_a_server_that_dawdles_is_given_up(server, way):
    began = time.monotonic()
    line = error_of(lambda: fetch(entry(server, way), lambda got: None, Patience(0.2, 1 << 20, 2, 0.01)))
    assert "of 75904 bytes came" in line
    assert time.monotonic() - began < 10
    server.go.set()


def test_without_a_network_the_way_by_hand_is_told(monkeypatch):
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")       # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    one = catalogue.read()["person"]
    line = error_of(lambda: fetch(one, lambda got: None, HASTY))
    assert line.startswith(f"{one.address}: cannot be fetched: Connection refused")
    assert f"fetch that address elsewhere (sha256 {one.sha256}), and give it with --from FILE" in line


@pytest.mark.parametrize("address", [
    "http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "https://", "x", "http://[::1", ""])
def test_addresses_that_tell_nobody_who_answers_are_refused(server, address):
    with pytest.raises(ValueError, match="https:// is needed"):
        entry(server, "good", address=address)


def command(*words):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(["get", *[str(word) for word in words]]))


def test_a_network_is_fetched_verified_wrapped_and_installed(server, tmp_path, capfd):
    one = entry(server, "good")
    table = one.model_dump(exclude={"input"})
    lines = ["schema = 1", "[network.digits]", *[f"{key} = {json.dumps(value)}" for key, value in table.items()]]
    (tmp_path / "catalogue.toml").write_text("\n".join(lines))
    words = ("--catalogue", tmp_path / "catalogue.toml", "--state-dir", tmp_path, "--socket", tmp_path / "none")
    assert command("digits", *words) == 0
    out, err = capfd.readouterr()
    assert "digits is installed in" in out
    assert "75904 of 75904 bytes" in err
    bundle = find_bundle("digits", tmp_path)
    assert (bundle.task, bundle.labels[-1], bundle.golden is not None) == ("classify", "between", True)
    assert open_model(bundle, classify.Options()).labels == one.labels
    assert command(*words, "--json") == 0
    assert json.loads(capfd.readouterr().out)["digits"]["sha256"] == one.sha256
    (tmp_path / "digits.tflite").write_bytes(NETWORK[:-1])
    assert command("digits", "--from", tmp_path / "digits.tflite", *words) == 1
    assert "is not the file of the catalogue: 75903 bytes" in capfd.readouterr().err
    assert command("absent", *words) == 1
    assert "it has digits" in capfd.readouterr().err


def test_every_network_of_the_catalogue_is_the_public_file(shared, tmp_path, capfd):
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in (shared / "models").glob("*.tflite")}
    for one in catalogue.read().values():
        assert by_hash[one.sha256].stat().st_size == one.size
        assert one.address.startswith("https://")
    file = by_hash[catalogue.read()["imagenet"].sha256]
    assert command("imagenet", "--from", file, "--state-dir", tmp_path, "--socket", tmp_path / "none") == 0
    assert len(find_bundle("imagenet", tmp_path).labels) == 1001


@pytest.mark.parametrize(("text", "said"), [
    ("schema = 2", "schema"), ("[", "is not TOML"), ("schema = 1\n[network.X]", "network.X"),
    ("schema = 1\n[network.x]\nwhat = 1", "network.x")])
def test_a_catalogue_that_is_wrong_gives_one_line(text, said, tmp_path, capfd):
    (tmp_path / "c.toml").write_text(text)
    assert command("x", "--catalogue", tmp_path / "c.toml") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere():
    for out, wanted in ((Screen(), "\r[########################################] 100%\n"), (io.StringIO(), "400 of 400 bytes\n")):
        progress = Progress(400, out)
        for got in range(0, 401, 10):
            progress.tell(got)
        progress.end()
        assert out.getvalue().endswith(wanted)
        assert len(out.getvalue().splitlines()) <= 42


def test_only_these_files_know_how_to_fetch(root):
    found = {path.name for path in (root / "models" / "reflexd_models").rglob("*.py") if "urllib.request" in path.read_text()}
    assert found == {"download.py"}
    assert download.__doc__
