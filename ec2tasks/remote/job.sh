# Runs one command in the project's folder and environment: `job.sh JOB_ID`.
#
# In the job's folder are the command as `command` (none: a login shell), variables to set as `variables`, and
# `job`, which says where to run it and in which environment.
set -u
job_dir=$HOME/.ec2tasks/runs/$1
remote_dir='' below='' environment=auto program='' chosen=none
# shellcheck disable=SC1091
. "$job_dir/job"

# Ctrl-C is for the command; this shell stays to tell how it ended. A trap, unlike an ignored signal, is
# not handed down. Before the command runs, it is what is interrupted.
interrupted=
trap 'interrupted=yes' INT
printf '%s' "$$" >"$job_dir/pid"

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
    exit 125
}

# Whether bash finds a program of that name; this shell's own functions are none.
has() {
    type -P "$1" >/dev/null && return 0
    case $(unset -f "$1" && type -t "$1") in builtin | keyword) return 0 ;; esac
    return 1
}

# shellcheck disable=SC1091
. "$job_dir/environment.sh"

cd "$HOME/$remote_dir/$below" 2>/dev/null ||
    fail "no folder $remote_dir/$below on the instance; run without --no-rsync first"
choose
[ "$chosen" != absent ] ||
    fail "no environment $environment on the instance (a conda environment's name, or a venv's folder)"
[ "$chosen" != missing ] || fail "the environment that was built is no longer there; run it again"
activate || [ "${environment%\?}" != "$environment" ] || [ "$environment" = auto ] ||
    fail "the environment ${chosen#*:} can't be activated"

# shellcheck disable=SC1091
. "$job_dir/variables"
export EC2TASKS_RUN=$1
if [ -f "$job_dir/command" ]; then
    # From here on Ctrl-C ends this shell as it would the command.
    trap - INT
    [ -z "$interrupted" ] || exit 130
    # The environment is the command's from here on. The runner says it, should the command end so.
    [ -z "$program" ] || has "$program" || printf '%s' "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" >"$job_dir/lacks"
    # In place of this shell, which would have a word to say where a signal ends it.
    exec bash -c "$(<"$job_dir/command")"
else
    [ -z "$interrupted" ] || exit 130
    bash -i
fi
