"""apt installs, upgrades, removes and purges the package, and each leaves what it promises, on both releases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.conftest import ROOT, Debian

CONFIG = "etc/reflexd/reflexd.toml"
EXAMPLE = "/usr/share/doc/reflexd/examples/meter/reflexd.toml"
KEPT = {"etc/reflexd", CONFIG, "var/lib/reflexd", "var/lib/reflexd/arming"}
ENABLED = {
    "etc/systemd/system/multi-user.target.wants/reflexd.service",
    "var/lib/systemd/deb-systemd-helper-enabled",
    "var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants",
    "var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/reflexd.service",
    "var/lib/systemd/deb-systemd-helper-enabled/reflexd.service.dsh-also",
}
OF_THE_USER = {f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow")}      # what systemd-sysusers saves
NAMES = ("trixie-arm64", "trixie-amd64", "bookworm-arm64", "bookworm-amd64")


def of_package(debian: Debian) -> set[str]:
    """List what dpkg knows to be the package's."""
    return {line.lstrip("/") for line in debian.must("dpkg -L reflexd").splitlines()}


def dependencies_installed(debian: Debian) -> set[str]:
    """Install what the package asks for, by itself, and list what is there then."""
    names = (ROOT / "scripts/package.d" / f"depends.{debian.release}").read_text().split()
    debian.must(f"apt-get install -qq -y {' '.join(names)}")
    return debian.files()


def use(debian: Debian) -> None:
    """Change the configuration and leave state behind, as an owner would."""
    (debian.root / CONFIG).write_text("schema = 1\n# mine\n")
    (debian.root / "var/lib/reflexd").mkdir(exist_ok=True)
    (debian.root / "var/lib/reflexd/arming").write_text("armed\n")


def test_install_upgrade_remove_and_purge_leave_what_they_promise(debian: Debian, package: Path, old_package: Path) -> None:
    before = dependencies_installed(debian)
    debian.install(old_package)
    ours = of_package(debian)
    compiled = {name for name in debian.files() - before if "__pycache__" in name}
    assert debian.files() - before - ours - compiled - OF_THE_USER == {"etc/reflexd", CONFIG} | ENABLED - before
    assert all(name.startswith("usr/lib/reflexd/") for name in compiled)
    assert compiled, "a Pi should not compile at every start"
    assert 'initially = "disarmed"' in (debian.root / CONFIG).read_text()
    assert "reflexd:" in (debian.root / "etc/passwd").read_text()

    use(debian)
    debian.install(package)
    assert debian.must("dpkg-query -W -f '${Version}' reflexd") in package.name
    assert debian.must("dpkg --verify reflexd") == ""
    assert (debian.root / CONFIG).read_text().endswith("# mine\n")
    assert before - debian.files() == set()

    debian.must("apt-get remove -qq -y reflexd")
    assert debian.files() - before - OF_THE_USER == KEPT | ENABLED - before
    assert (debian.root / CONFIG).read_text().endswith("# mine\n")

    debian.must("apt-get purge -qq -y reflexd")
    assert debian.files() - OF_THE_USER == before - OF_THE_USER


def test_removed_and_installed_again_it_goes_on_with_what_was_there(debian: Debian, package: Path) -> None:
    debian.install(package)
    use(debian)
    debian.must("apt-get remove -qq -y reflexd")
    debian.install(package)
    assert (debian.root / CONFIG).read_text().endswith("# mine\n")
    assert (debian.root / "var/lib/reflexd/arming").read_text() == "armed\n"
    (debian.root / CONFIG).unlink()
    debian.must(f"apt-get install --reinstall -qq -y /var/cache/{package.name}")
    assert not (debian.root / CONFIG).exists(), "who removed it wants none"


def test_what_was_trimmed_is_not_missed(installed: Debian, shared: Path) -> None:
    said = installed.run(f"reflexd --config {EXAMPLE} --socket /tmp/socket --frames 20").stderr
    assert "model.meter: run: LiteRT" in said
    assert "20 predictions were decided" in said
    for name in ("mobilenet_v1_0.25_128_quant.tflite", "vww96_int8.tflite", "person_detect_refused.tflite"):
        (installed.root / "tmp" / name).write_bytes((shared / "models" / name).read_bytes())
    runs = ("import sys; sys.path.insert(0, '/usr/lib/reflexd'); from pathlib import Path; import cv2, numpy as np; "
            "from reflexd_models.runtime import Network; one = Network(Path(sys.argv[1]).read_bytes(), 'x'); "
            "print(one.run(lambda tensors: None)[0].shape)")
    assert installed.must(f'python3 -Ic "{runs}" /tmp/mobilenet_v1_0.25_128_quant.tflite').strip() == "(1, 1001)"
    assert installed.must(f'python3 -Ic "{runs}" /tmp/vww96_int8.tflite').strip() == "(1, 2)"
    refused = installed.run(f'python3 -Ic "{runs}" /tmp/person_detect_refused.tflite')
    assert refused.returncode == 1
    assert "ModelError" in refused.stderr
    print(installed.must("du -sm /usr/lib/reflexd /usr/lib/reflexd/ai_edge_litert"))


def test_the_package_is_not_taken_over_by_the_other_way(installed: Debian) -> None:
    refused = installed.run("reflexctl install-service")
    assert refused.returncode == 1
    assert refused.stderr == ("reflexctl: the Debian package has put the service in place; keep that, or remove it first:  "
                              "apt-get remove reflexd\n")


def test_every_program_answers_and_nothing_of_the_users_environment_counts(installed: Debian) -> None:
    (installed.root / "tmp/reflexd.py").write_text("raise SystemExit('taken over')\n")
    for command in ("reflexd --version", "reflexctl --help", "reflexctl check /etc/reflexd/reflexd.toml", "reflexd-safe"):
        assert "taken over" not in installed.must(f"cd /tmp; PYTHONPATH=/tmp {command}")


@pytest.mark.parametrize("name", NAMES)
def test_lintian_has_nothing_to_say(packages: Path, name: str) -> None:
    release, architecture = name.split("-")
    file = next(packages.glob(f"*~{'deb13' if release == 'trixie' else 'deb12'}_{architecture}.deb"))
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", file],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_what_is_compiled_is_for_the_processor_and_the_python_that_are_meant(packages: Path, name: str) -> None:
    release, architecture = name.split("-")
    file = next(packages.glob(f"*~{'deb13' if release == 'trixie' else 'deb12'}_{architecture}.deb"))
    listed = subprocess.run(["dpkg-deb", "-c", file], capture_output=True, text=True, check=True).stdout
    python, other = ("313", "311") if release == "trixie" else ("311", "313")
    machine, foreign = ("aarch64", "x86_64") if architecture == "arm64" else ("x86_64", "aarch64")
    assert f"cpython-{python}-{machine}" in listed
    assert f"cpython-{other}" not in listed
    assert foreign not in listed


def test_pip_and_install_service_are_the_other_way(tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True, cwd=ROOT)
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    root = tmp_path / "root"
    home = root / "opt/reflexd"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    subprocess.run([home / "bin/pip", "install", "-q", source], check=True, capture_output=True)
    done = subprocess.run([home / "bin/reflexctl", "install-service", "--root", root, "--bindir", "/opt/reflexd/bin"],
                          capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    unit = (root / "usr/lib/systemd/system/reflexd.service").read_text()
    assert "ExecStart=/opt/reflexd/bin/reflexd --config /etc/reflexd/reflexd.toml" in unit
    assert "ExecStopPost=/opt/reflexd/bin/reflexd-safe" in unit
    assert (root / "usr/share/reflexd/drop-ins/appliance.conf").exists()
    assert (root / CONFIG).exists()
    subprocess.run([home / "bin/reflexctl", "install-service", "--root", root, "--remove"], check=True, cwd="/")
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_relative_to(home)}
    assert left == {CONFIG}
