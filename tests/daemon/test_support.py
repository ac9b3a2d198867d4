"""The support bundle: it opens, it is whole, and no secret and no picture is in it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.ctl.__main__ import main
from reflexd.doctor.context import Context
from reflexd.doctor.support import FOLDER, LEFT_OUT, cleared, collect, write
from reflexd_models.bundle import zoo
from tests.daemon.patients import Patient, healthy

SECRETS = """
# password = "in-a-comment"
[daemon]
state_dir = "/var/lib/reflexd"

[broker]
password = "hunter22 with \\" quote"
url = "mqtt://gate:in-the-url@host/"
api_key = 'single-quoted'
tokens = ["first-token", "second]token"]
login = { user = "gate", passphrase = "in-a-table" }
secret = \"\"\"
over several
lines\"\"\"
"quoted.secret" = "quoted-key"

[broker.credentials]
value = "below-the-key"
number = 271828
"""
HIDDEN = ["in-a-comment", "hunter22", "in-the-url", "single-quoted", "first-token", "second]token", "in-a-table", "over several",
          "quoted-key", "below-the-key", "271828"]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    shutil.copytree(zoo() / "meter", tmp_path / "root" / "etc" / "reflexd" / "meter")
    return healthy(tmp_path / "root", tmp_path)


def opened(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read().decode() for one in tar.getmembers()}   # type: ignore[union-attr]


def test_no_secret_is_left_in_any_file(patient: Patient, tmp_path: Path) -> None:
    patient.put("etc/reflexd/conf.d/50-broker.toml", SECRETS)
    patient.put("etc/reflexd/snapshot.png", "\x89PNG picture")
    patient.put("etc/reflexd/conf.d/evidence.npz", "PK")
    found = "the broker said: no such user below-the-key; token=first-token"
    write(tmp_path / "support.tar.gz", collect(patient.context, json.dumps({"found": found})), force=False)
    files = opened(tmp_path / "support.tar.gz")
    whole = "\n".join(files.values())
    assert [one for one in HIDDEN if one in whole] == []
    assert whole.count(LEFT_OUT) >= len(HIDDEN)
    assert 'state_dir = "/var/lib/reflexd"' in files[f"{FOLDER}/configuration/01-50-broker.toml"]
    assert [name for name in files if name.endswith((".png", ".jpg", ".npz", ".tflite"))] == []
    assert "PNG" not in whole


def test_a_file_that_is_no_toml_is_cleared_line_by_line(patient: Patient) -> None:
    broken = """password = "hunter22"
[[[
token: abcdef, ghi
next = 1
login = { api_key = "in-a-table" }
secrets = { one = "unparsed" }
"""
    patient.put("etc/reflexd/conf.d/50-broken.toml", broken)
    text = collect(patient.context, "{}")["configuration/01-50-broken.toml"]
    assert "hunter22" not in text
    assert [one for one in ("abcdef", "ghi", "in-a-table", "unparsed") if one in text] == []
    assert "next = 1" in text


def test_what_is_no_secret_stays(patient: Patient) -> None:
    files = collect(patient.context, "{}")
    assert 'pin = "GPIO17"' in files["configuration/00-reflexd.toml"]
    assert "actuator.lamp.pin" in files["configuration-effective.txt"]
    assert LEFT_OUT not in "".join(files[name] for name in files if name not in ("journal.txt", "unit.txt"))
    assert "/dev/video0" in files["devices.txt"]
    assert "Raspberry Pi 4" in files["platform.txt"]


@given(st.text(st.characters(exclude_characters="\"'\\\n"), max_size=20),
       st.sampled_from(['password = "{}"', "my_token: '{}'", '{{"api_key": "{}"}}', "x = {{ secret = '{}' }}", 'AUTH="{}"']))
def test_a_secret_of_any_text_is_taken_out(secret: str, form: str) -> None:
    assert f"«{secret}»" not in cleared(form.format(f"«{secret}»"), set())


def test_a_part_that_is_called_key_is_no_secret(patient: Patient) -> None:
    patient.config = patient.config.replace("sensor.button", "sensor.key").replace('"button"', '"key"')
    patient.status["sensors"] = {"key": {"state": "run", "why": "", "nested": {"a": 1}}}
    files = collect(patient.context, json.dumps(patient.status, indent=2))
    assert json.loads(files["doctor.json"]) == patient.status
    assert files["configuration/00-reflexd.toml"] == patient.config


@pytest.mark.parametrize("line", [
    'Environment="A_PASSWORD=hun ter,22;x"', "Environment=API_TOKEN=hun ter,22;x", "apikey: hun ter,22;x"])
def test_what_has_no_quotes_is_left_out_to_the_end_of_its_line(line: str) -> None:
    text = cleared(f"one\n{line}\ntwo", set())
    assert text.startswith("one\n")
    assert text.endswith("\ntwo")
    assert [one for one in ("hun", "ter", "22", "x\n") if one in text] == []


def run(patient: Patient, *arguments: str) -> int:
    context = patient.context
    return main(["doctor", "--config", str(context.config), "--socket", str(context.socket), *arguments])


def test_the_bundle_is_for_this_user_alone_and_nothing_is_replaced_unasked(
        patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "support.tar.gz"
    assert run(patient, "--bundle", str(path)) in (0, 3, 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "    doctor.json, " in capsys.readouterr().out
    assert set(opened(path)) >= {f"{FOLDER}/{name}" for name in ("doctor.json", "status.json", "unit.txt", "journal.txt")}
    path.write_text("mine")
    assert run(patient, "--bundle", str(path)) == 1
    assert "support.tar.gz: cannot be written: there is such a file" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert run(patient, "--bundle", str(path), "--force", "--json") in (0, 3, 4)
    assert opened(path)
    assert json.loads(capsys.readouterr().out)["schema"] == 1, "what is in it goes to stderr then"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".reflexd")] == []


def test_a_bundle_that_cannot_be_written_says_so(patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(patient, "--bundle", str(tmp_path / "none" / "support.tar.gz")) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_a_configuration_that_is_a_pipe_holds_nobody_up(patient: Patient) -> None:
    context = patient.context
    os.mkfifo(patient.put("etc/reflexd/conf.d/10-x.toml").with_name("20-pipe.toml"))
    assert collect(context, "{}")["configuration/02-20-pipe.toml"] == "not a regular file"


@pytest.mark.parametrize("line", [
    'accessToken = "{}"', "clientSecret: {}", "Environment=PGPASSWORD={}", "Environment=A=one \\\n  {}", "SetCredential=mqtt:{}",
    "SetCredentialEncrypted=mqtt: \\\n    {}", "ExecStart=/x --password {} -v", 'ExecStart=/x --token "a {}"', "wpa_psk={}",
    "Authorization: Bearer {}", "sent: Bearer {}", "mqtt://gate:p@{}@host/", "mqtt://gate:p/{}@host/", "https://{}@host/",
    "cookie: {}", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", 'passwords = [ "a]", "{}" ]',
    'secret = {{ a = "}}", b = "{}" }}',
    "password: 1234, {}", 'it said {{"password": {{"value": "{}"}}}}', "password -> {}", "A_PASSWORD='a'\"{}\"", "oauth={}"])
def test_a_secret_is_known_by_what_stands_before_it(line: str) -> None:
    text = cleared(f"one\n{line.format('hunter22')}\ntwo", set())
    assert "hunter22" not in text
    assert text.startswith("one\n")
    assert text.endswith("\ntwo")


BELOW = """[broker.credentials]
escaped = "hunt\\u0065r"
joined = \"\"\"hun\\
    ter\"\"\"
number = 0x1F2A3B
[next]
number = 271_828
[camera.tokens]
number = 3
"""


def test_what_stands_below_a_heading_like_credentials_is_left_out_as_it_is_written(patient: Patient) -> None:
    patient.put("etc/reflexd/conf.d/50-below.toml", BELOW)
    text = collect(patient.context, "{}")["configuration/01-50-below.toml"]
    assert text == f"[broker.credentials]\n# {LEFT_OUT}\n" + BELOW[BELOW.index("[next]"):]


def test_json_stays_json(patient: Patient) -> None:
    findings = {"found": "x: password: wrong", "token": 4711, "keys": [], "why": ["a", {"api_key": "b"}], "n": 1, "ok": True}
    assert json.loads(collect(patient.context, json.dumps(findings))["doctor.json"]) == {
        "found": f'x: password: "{LEFT_OUT}"', "token": LEFT_OUT, "keys": [], "why": ["a", {"api_key": LEFT_OUT}],
        "n": 1, "ok": True}


def test_a_picture_or_a_network_that_is_called_toml_is_left_out(patient: Patient) -> None:
    patient.put("etc/reflexd/conf.d/10-seen.toml", "PNG\0picture")
    files = collect(patient.context, "{}")
    assert files["configuration/01-10-seen.toml"] == "not a text"
    assert "PNG" not in "".join(files.values())


@pytest.mark.parametrize("text", ["[broker.credentials]\nvalue = hunter22 x\n", "[broker]\npassword = hunter22 x\n"])
def test_a_line_that_is_wrong_is_not_cited(patient: Patient, text: str) -> None:
    patient.put("etc/reflexd/conf.d/10-broken.toml", text)
    found = json.dumps({"found": 'syntax: the text has no quotes, found hunter22; write "hunter22"'})
    assert "hunter22" not in "".join(collect(patient.context, found).values())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which may become somebody else")
def test_a_folder_that_is_closed_to_this_user_keeps_nobody_from_a_bundle() -> None:
    with TemporaryDirectory() as name:      # tmp_path is in a folder that only root may enter
        (Path(name) / "etc").mkdir(mode=0o700)
        Path(name).chmod(0o777)
        context = Context(Path(name) / "etc" / "reflexd.toml", Path(name) / "control.sock")
        os.seteuid(65534)
        try:
            files = collect(context, "{}")
        finally:
            os.seteuid(0)
    assert "Permission denied" in files["configuration/00-reflexd.toml"]


def test_only_a_file_is_replaced(patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")       # as /dev/null, which everything needs
    assert run(patient, "--bundle", str(pipe), "--force") == 1
    assert "something else than a file" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_names_that_cannot_be_shown_or_opened_keep_nobody_from_a_bundle(
        patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate((os.fsdecode(b"\xff.toml"), "a" * 300, "two\nlines")):
        assert main(["doctor", "--config", name, "--bundle", str(tmp_path / f"{number}.gz")]) in (3, 4)
        assert f"{FOLDER}/status.json" in opened(tmp_path / f"{number}.gz")
    capsys.readouterr()
    assert main(["doctor", "--config", os.fsdecode(b"\xff.toml"), "--json"]) in (3, 4)
    assert json.loads(capsys.readouterr().out)
