#!/bin/sh
# setup.sh VENV [test|quick]: the system packages of the local EC2 and a virtual environment with ec2tasks[dev].
# With `test`, what the tests alone need as well; with `quick`, the few that need no local EC2. Only what is missing is installed; needs root or sudo for system packages alone.
set -eu
venv=$1
python=${PYTHON:-python3}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || {
            echo "setup: as root, install: $packages" >&2
            exit 1
        }
        sudo -n "$@" || sudo "$@"
    fi
}

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || packages="$packages $2"
}

packages=
need make make
need git git
need ssh openssh-client
need rsync rsync
if [ "${2:-}" != quick ]; then
    need sshd openssh-server
    need tmux tmux
    need screen screen
    need bwrap bubblewrap
    need slirp4netns slirp4netns
    need ip iproute2
    need unshare util-linux
    need ps procps
    # The Python that the instances of the local EC2 find: theirs is the system's, wherever ours is.
    /usr/bin/python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages="$packages python3-venv"
fi
if [ "${2:-}" = test ]; then
    need chromium chromium # the browser that opens the notebook
    need shellcheck shellcheck
fi
case "$(rsync --version 2>/dev/null)" in
*"rsync  version 3"* | "") ;;
*) echo "setup: this rsync is another program than the tests use: brew install rsync" >&2 ;;
esac
if [ -n "$packages" ]; then
    command -v apt-get >/dev/null || {
        echo "setup: install with your package manager: $packages" >&2
        exit 1
    }
    echo "setup: installing$packages"
    as_root apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi

# A plain user's instances reach the network through it; systemd's udev opens it to all, containers may not.
if [ "${2:-}" != quick ] && [ -c /dev/net/tun ] && [ ! -w /dev/net/tun ]; then
    echo "setup: opening /dev/net/tun, as udev does"
    as_root chmod 666 /dev/net/tun
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
[ -x "$venv/bin/uv" ] || "$venv/bin/python" -m pip install -q --disable-pip-version-check 'uv>=0.5'
echo "setup: installing ec2tasks into $venv"
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install -q -e '.[dev]'
