# Which environment a command runs in, and how a shell activates it: session.sh asks, job.sh does it.
#
# The job's file says `environment`: auto, none, built, conda:NAME, venv:FOLDER, NAME, or NAME? for one that need not
# be there; `built`, the key of the one that is built for it, if any; `conda_name`, what the project calls its own.
# shellcheck disable=SC2034,SC2154  # the job's file, which is sourced too; protocol.sh
environment=${environment-auto} built=${built-} conda_name=${conda_name-} remote_dir=${remote_dir-} below=${below-}
environments=$HOME/.ec2tasks/env

is_venv() { [ -f "$1/bin/activate" ]; }

conda_base() {
    local base
    for base in "${CONDA_ROOT:-}" "$HOME/miniconda3" "$HOME/anaconda3" "$HOME/miniforge3" /opt/conda /opt/miniconda3 /opt/miniforge3; do
        if [ -n "$base" ] && [ -f "$base/etc/profile.d/conda.sh" ]; then
            printf '%s\n' "$base"
            return 0
        fi
    done
    return 1
}

has_conda() {
    local base
    base=$(conda_base) || return 1
    [ "$1" = base ] || [ -d "$base/envs/$1" ] || [ -d "$HOME/.conda/envs/$1" ] || [ -d "$1/conda-meta" ]
}

# `choose`, in the folder that the command runs in: as $chosen built, missing (it is to be built), venv:FOLDER,
# conda:NAME, none, or absent, where what was named is not there.
choose() {
    case $environment in
    none) chosen=none ;;
    built) choose_built ;;
    auto) choose_auto ;;
    *\?) choose_named "${environment%\?}" || choose_auto ;;
    *) choose_named "$environment" || chosen=absent ;;
    esac
}

choose_named() {
    local name=${1#venv:}
    case $1 in conda:*) name='' ;; esac
    if [ -n "$name" ] && is_venv "$name"; then
        chosen=venv:$name
        return 0
    fi
    case $1 in venv:*) return 1 ;; esac
    has_conda "${1#conda:}" || return 1
    chosen=conda:${1#conda:}
}

# What a recipe made there comes before what is built, that before the image's own.
choose_auto() {
    if is_venv .venv; then
        chosen=venv:.venv
    elif [ -n "$conda_name" ] && has_conda "$conda_name"; then
        chosen=conda:$conda_name
    elif [ -n "$built" ]; then
        choose_built
    elif is_venv /opt/pytorch; then
        chosen=venv:/opt/pytorch
    elif has_conda base; then
        chosen=conda:base
    else
        chosen=none
    fi
}

choose_built() { if [ -e "$environments/$built/ready" ]; then chosen=built; else chosen=missing; fi; }

# What a client is told: the choice, and of one that is built what stands in `ready`.
tell_choice() {
    local about=''
    cd "$HOME/$remote_dir/$below" 2>/dev/null || cd /
    choose
    if [ "$chosen" = built ]; then read -r about <"$environments/$built/ready" || [ -n "$about" ]; fi
    printf '%s' "$chosen${about:+,$about}"
}

activate_conda() {
    local base
    base=$(conda_base) || return 1
    # shellcheck disable=SC1091
    . "$base/etc/profile.d/conda.sh" && conda activate "$1" >/dev/null 2>&1
}

# Activates $chosen, in this shell.
activate() {
    local code
    set +u
    # shellcheck disable=SC1090,SC1091
    case $chosen in
    venv:*) . "${chosen#venv:}/bin/activate" ;;
    conda:*) activate_conda "${chosen#conda:}" ;;
    built)
        : >"$environments/$built/used"
        . "$environments/$built/activate"
        ;;
    *) true ;;
    esac
    code=$?
    set -u
    return $code
}

# By itself, `environment.sh FIELDS…`: only that.
if [ "${0##*/}" = environment.sh ]; then
    read_fields "$@"
    need folder
    environment=${fields[environment]-auto} built=${fields[built]-} conda_name=${fields[conda_name]-}
    remote_dir=${fields[folder]} below=${fields[below]-}
    say environment choice "$(tell_choice)"
fi
