# Signals what runs in a job on the instance: `end_job.sh VERB FIELDS…`, one function a verb, words as protocol.sh
# reads them. The job's id is job=.
# shellcheck disable=SC2154  # protocol.sh stands before it
set -u
verb=$1
read_fields "${@:2}"
need job
id=${fields[job]}
job_dir=$HOME/.ec2tasks/runs/$id

# `signal job= name=`: to all that runs in the foreground there. One that comes early waits for the command.
signal() {
    need name
    to_foreground "${fields[name]}"
}

to_foreground() {
    local group others told=1
    for _ in {1..200}; do
        [ ! -s "$job_dir/exit" ] || return 0
        [ ! -s "$job_dir/pid" ] || break
        sleep 0.05
    done
    group=$(ps -o tpgid= -p "$(cat "$job_dir/pid")" | tr -d ' ')
    [ "$group" -gt 0 ] || group=$(ps -o pgid= -p "$(cat "$job_dir/pid")" | tr -d ' ')
    # All at once, as from a terminal: a shell goes on that gets an INT and whose command does not end by it. But
    # make first, where it leads: it loses count where its children end before it knows why (`wait: No child
    # processes`).
    case $(ps -o comm= -p "$group") in
    make | gmake)
        ! kill "-$1" "$group" || { told=0 && sleep 0.05; }
        mapfile -t others < <(pgrep -g "$group" | grep -vx "$group")
        [ "${#others[@]}" = 0 ] || ! kill "-$1" "${others[@]}" || told=0
        ;;
    *) ! kill "-$1" -- "-$group" || told=0 ;;
    esac
    return "$told"
}

# `cancel job= grace= hard=`: end it as Ctrl-C does; what goes on for `grace` seconds is told to end (TERM), and for
# `hard` more is killed. A shell, which Ctrl-C does not end, is hung up. Once: while one client cancels it, others
# wait, for a second Ctrl-C would disturb what a command saves on its way out. A line `cancelled` tells in `by=` what
# ended it: INT, HUP, TERM, KILL, nothing where it had ended before, and `none` where it goes on all the same.
cancel() {
    need grace hard
    [ -e "$job_dir/started" ] || exit 1
    exec 6>>"$job_dir/cancelling"
    flock 6
    local by=
    is_over || end
    say cancelled by "$by"
}

is_over() { [ -s "$job_dir/exit" ] || ends_within 0; }

# The lock that the job holds goes with it.
ends_within() { flock --shared --timeout "$1" "$job_dir/alive" true; }

end() {
    if [ -f "$job_dir/command" ]; then by=INT && to_foreground INT; else by=HUP && to_all HUP; fi
    ends_within "${fields[grace]}" && return
    by=TERM && to_all TERM
    ends_within "${fields[hard]}" && return
    by=KILL && to_all KILL
    ends_within 5 || by=none
} >/dev/null 2>&1

# All of the command's own in its session. What it has put into one of its own, say a tmux, was meant to stay.
to_all() {
    local pid session leader own=()
    leader=$(cat "$job_dir/pid")
    session=$(ps -o sid= -p "$leader" | tr -d ' ')
    [ -n "$session" ] || return
    while read -r pid; do
        if [ "$pid" = "$leader" ] || grep -qsz "^EC2TASKS_RUN=$id\$" "/proc/$pid/environ"; then own+=("$pid"); fi
    done < <(pgrep -s "$session")
    kill "-$1" "${own[@]}"
}

"$verb"
