# Runs one command in the project's folder: `job.sh RUN_ID REMOTE_DIR BELOW ENV`.
#
# The command is in the run's folder as `command`, variables to set are in `variables`; the exit code is
# left there as `exit`, for when the connection could not carry it.
set -u
run=$HOME/.ec2tasks/runs/$1
below=$2/$3
wanted=$4

# What a login would bring: the image's settings (CUDA's paths, conda's), then the user's.
login_settings() {
    set +u
    for file in /etc/profile "$HOME/.bash_profile" "$HOME/.bash_login" "$HOME/.profile"; do
        [ -r "$file" ] || continue
        # shellcheck disable=SC1090
        . "$file"
        [ "$file" = /etc/profile ] || break
    done
    set -u
}
login_settings >/dev/null 2>&1 </dev/null

fail() {
    printf 'ec2tasks: %s\n' "$1" >&2
    printf 125 >"$run/exit"
    exit 125
}

conda_base() {
    for base in "${CONDA_ROOT:-}" "$HOME/miniconda3" "$HOME/anaconda3" "$HOME/miniforge3" /opt/conda /opt/miniconda3 /opt/miniforge3; do
        if [ -n "$base" ] && [ -f "$base/etc/profile.d/conda.sh" ]; then
            printf '%s\n' "$base"
            return 0
        fi
    done
    return 1
}

activate_conda() {
    base=$(conda_base) || return 1
    set +u
    # shellcheck disable=SC1091
    . "$base/etc/profile.d/conda.sh" && conda activate "$1" >/dev/null 2>&1
    code=$?
    set -u
    return $code
}

activate_venv() {
    [ -f "$1/bin/activate" ] || return 1
    set +u
    # shellcheck disable=SC1091
    . "$1/bin/activate"
    set -u
}

project_conda_name() {
    sed -n 's/^name:[[:space:]]*\([^[:space:]#]*\).*/\1/p' environment.yml 2>/dev/null | head -n 1
}

activate_auto() {
    name=$(project_conda_name)
    { [ -n "$name" ] && activate_conda "$name"; } ||
        activate_venv .venv || activate_venv /opt/pytorch || activate_conda base || true
}

cd "$HOME/$below" 2>/dev/null || fail "no folder $below on the instance; run without --no-rsync first"
case $wanted in
none) ;;
auto) activate_auto ;;
*\?) activate_venv "${wanted%\?}" || activate_conda "${wanted%\?}" || activate_auto ;;
*)
    activate_venv "$wanted" || activate_conda "$wanted" ||
        fail "no environment $wanted on the instance (a conda environment's name, or a venv's folder)"
    ;;
esac

# shellcheck disable=SC1091
. "$run/variables"
export EC2TASKS_RUN=$1
printf '%s' "$$" >"$run/pid"

# Ctrl-C is for the command; this shell stays to tell how it ended. A trap, unlike an ignored signal, is
# not handed down.
trap : INT
# It counts as a session of its own: where its client dies, no other client ends the instance under it. What
# it leaves in the background does not count.
exec 8>>"$HOME/.ec2tasks/sessions.lock"
flock --shared 8
if [ -f "$run/command" ]; then
    bash -c "$(cat "$run/command")" 8>&-
else
    bash -i 8>&-
fi
code=$?
printf '%s' "$code" >"$run/exit"
exit $code
