# Environments, for the other scripts to source: a Python that fits, and a virtual environment that is
# made once and made anew only when what it depends on changed.

OLDEST=11
NEWEST=13

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# A Python 3.$1 that runs, by its name on PATH or among pyenv's; nothing when there is none.
find_python() {
    local candidate
    for candidate in "python3.$1" python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != (3, $1))" 2>/dev/null; then
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'    # an activated environment's own base
            return
        fi
    done
}

# The Python to use by default: the system's own if it fits, else the newest that does.
default_python() {
    local minor found
    if command -v python3 >/dev/null; then
        minor=$(python3 -c 'import sys; print(sys.version_info[1])')
        [ "$minor" -ge $OLDEST ] && [ "$minor" -le $NEWEST ] && { find_python "$minor"; return; }
    fi
    for minor in $(seq $NEWEST -1 $OLDEST); do
        found=$(find_python "$minor")
        [ -n "$found" ] && { echo "$found"; return; }
    done
    need_package python3 "reflexd needs Python 3.$OLDEST to 3.$NEWEST, found none"
    find_python "$(python3 -c 'import sys; print(sys.version_info[1])')"
}

# need_package PACKAGES WHY: say which command installs what is missing; run it only as root.
need_package() {
    say "$2."
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Running: apt-get install -y $1"
        # the lab is built while an environment is made: one after the other
        { flock /var/lib/apt apt-get update -qq \
            && DEBIAN_FRONTEND=noninteractive flock /var/lib/apt apt-get install -y -qq --no-install-recommends $1; } >&2 \
            || die "That did not work. Run this and try again:  apt-get install $1"
    else
        die "Run this and try again:  sudo apt-get install $1"
    fi
}

# ensure_env FOLDER PYTHON EXTRAS [VENV-OPTION...]: an environment with this checkout and its extras in it.
ensure_env() {
    local folder=$1 python=$2 extras=$3 wanted
    shift 3
    wanted=$(printf '%s\n' "$python" "$PWD" "$extras" "$*" | cat - pyproject.toml setup.py | sha256sum | cut -c1-64)
    [ "$(cat "$folder/.made-for$extras" 2>/dev/null)" = "$wanted" ] && return
    make_venv "$folder" "$python" "$@"
    say "Installing reflexd into $folder (once; about 300 MB) ..."
    # What is imported is compiled then; most of what is installed never is.
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --editable ".$extras" >&2 \
        || die "Installing failed; the lines above say why. A network connection is needed this once."
    printf '%s' "$wanted" > "$folder/.made-for$extras"
}

# make_venv FOLDER PYTHON [OPTION...]: an empty environment, unless there is one of that Python.
make_venv() {
    local folder=$1 python=$2 version
    shift 2
    version=$("$python" -c 'import sys; print(sys.version)')
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 \
        && [ "$("$folder/bin/python" -c 'import sys; print(sys.version)')" = "$version" ] && return
    rm -rf "$folder"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        need_package "$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')" "Python's venv module is missing"
    fi
    "$python" -m venv "$@" "$folder" >&2 || die "Could not make an environment in $folder; the lines above say why."
}
