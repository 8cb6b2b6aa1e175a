# Gives the programs of a job a signal a while before its instance ends: `warner.sh JOB_ID KEEPER BEGAN`, until the
# process KEEPER has ended; BEGAN is when the job did, in seconds of the machine's uptime. metadata.sh stands before it.
#
# Which signal and how long before stand in the job's folder. The end is the guard's, by what it says itself, or AWS's
# that takes a spot instance back. The signal goes to each program that catches it and that no other such program has
# begun, which hands on what it wants to; a shell that catches it can do so only once what it waits for has ended,
# which therefore gets it too. make is left out: at a signal it deletes the file that it was making. What does not
# catch it would only end sooner.
set -u
keeper=$2 began=$3
job_dir=$HOME/.ec2tasks/runs/$1
EVERY=5
warn_before=0 notice_signal=TERM
# shellcheck disable=SC1091
. "$job_dir/job"
number=$(kill -l "$notice_signal")

# The seconds that the guard leaves, where it ends what runs; success where they are told.
guard_leaves() {
    local name value left=- because=''
    end=
    while read -r name value; do
        case $name in ends_in) left=$value ;; because) because=${value%%:*} ;; end) end=$value ;; esac
    done </run/ec2tasks-guard/state
    case $because in max_hours | max_cost | stalled_stop) ;; *) return 1 ;; esac
    [[ $left =~ ^[0-9]{1,9}$ ]] && seconds=$left
} 2>/dev/null

# Signals the process $1 if it catches the signal, else those below it; with $2, whatever it does.
signal_tree() {
    local key value name='' caught=0 below=${2-} child
    while IFS=$':\t' read -r key value; do
        case $key in Name) name=${value//[[:space:]]/} ;; SigCgt) caught=$value ;; esac
    done <"/proc/$1/status"
    case $name in
    make | gmake) ;;
    *)
        if [ -n "$below" ] || (((0x$caught >> (number - 1)) & 1)); then
            kill -s "$notice_signal" "$1" && signalled=yes
            case $name in bash | sh | dash | zsh | ksh) below=yes ;; *) return 0 ;; esac
        fi
        ;;
    esac
    for child in $(pgrep -P "$1"); do signal_tree "$child" "$below"; done
} 2>/dev/null

warn() {
    [ -s "$job_dir/pid" ] || return
    signalled=
    signal_tree "$(cat "$job_dir/pid")"
    [ -z "$signalled" ] || printf '%s\n' "$notice_signal" >"$job_dir/noticed"
    warned=yes
}

warned='' taken='' seconds=0 end=
while sleep "$EVERY" && kill -0 "$keeper" 2>/dev/null && [ -d "$job_dir" ]; do
    IFS=' .' read -r now _ </proc/uptime
    # Of a short time, half of it comes first.
    if guard_leaves && [ "$seconds" -le "$warn_before" ] && [ "$seconds" -le $((now - began)) ]; then
        [ -n "$warned" ] || warn
    elif [ "$end" = terminate ] && [ -z "$taken" ] && spot_notice >/dev/null; then
        taken=yes
        [ -n "$warned" ] || warn
    elif [ -z "$taken" ]; then
        warned=
    fi
done
