#!/bin/sh
# A recipe of examples/project on an instance of the local EC2: where it ran, what came back, what is left.
set -eu
cd "$(dirname "$0")/../examples/project"
export EC2_LOCAL=1
unset MAKEFLAGS MAKELEVEL MFLAGS  # as typed in a shell, not called by the make above

show() {
    printf '\n\033[1m$ %s\033[0m\n' "$*" | if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi
    "$@"
}

trap 'ec2tasks local.down >/dev/null 2>&1 || true' EXIT
echo "The example's recipe 'train', on an instance of a local EC2 (no account, no bill):"
show make on-ec2-train EC2_FINAL_STATE=terminate
show cat reports/metrics.json
show ls -l models reports
show ec2tasks ls
printf '\nTrained on the instance named above, fetched to this machine (%s), and nothing is left running.\n' "$(hostname)"
