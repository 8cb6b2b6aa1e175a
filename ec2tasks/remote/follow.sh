# A client's look at what runs on the instance: `follow.sh VERB FIELDS…`, one function a verb, words as protocol.sh
# reads them. The job's id is job=, where one is meant.
# shellcheck disable=SC2154  # protocol.sh stands before it
set -u
verb=$1
read_fields "${@:2}"
id=${fields[job]-}
# Jobs that another version of ec2tasks began are here, too: the names in this folder stay as they are.
home=$HOME/.ec2tasks
job_dir=$home/runs/$id
export SCREENDIR=$home/screen
TICK=2     # seconds
SILENCE=60 # seconds without a word from a client after which it is taken for gone
multi=none final=leave terminal='' input=''

# `follow job= marker= [out= err= start=yes dump=yes]`: what it prints from these offsets on, by default 0, until
# it ends; its exit code. With start=yes it is begun first, with dump=yes only what there is by now is shown.
#
# On each stream a line comes first: MARKER, with offset=, which it goes on from, and taken=, how much input was
# taken. What stands before it is not the command's. The client says on stdin what follow_client understands.
follow() {
    need job marker
    local out_offset=${fields[out]:-0} err_offset=${fields[err]:-0} dump=${fields[dump]-}
    marker=${fields[marker]}
    if [ -n "${fields[start]-}" ]; then begin || exit; fi
    [ -e "$job_dir/started" ] || fail "no job $id on the instance"
    if [ -n "$dump" ]; then
        (show out "$out_offset")
        (show err "$err_offset" >&2)
        exit 0
    fi
    exec 3<&0 </dev/null
    printf '%s' "$marker" >"$job_dir/feeder"
    # Ends with the command: the lock goes with it.
    flock --shared "$job_dir/alive" true 3<&- &
    waiter=$!
    show out "$out_offset" --pid="$waiter" -s 0.2 -f 3<&- &
    out=$!
    show err "$err_offset" --pid="$waiter" -s 0.2 -f >&2 3<&- &
    err=$!
    follow_client <&3 >/dev/null 2>&1 &
    client=$!
    exec 3<&-
    wait "$waiter"
    # Changes nothing, but wakes a tail that would look again after a while.
    fallocate --keep-size --offset 0 --length 1 "$job_dir/out" 2>/dev/null &
    fallocate --keep-size --offset 0 --length 1 "$job_dir/err" 2>/dev/null
    wait "$out" "$err"
    kill "$client"
    # Without an exit code it was lost: the client asks for that.
    [ -s "$job_dir/exit" ] || exit 255
    : >"$job_dir/told"
    read -r code <"$job_dir/exit"
    exit "$code"
}

# `show STREAM OFFSET [option of tail…]`
show() {
    local stream=$1 offset=$2 first taken
    shift 2
    read -r first 2>/dev/null <"$job_dir/start.$stream" || first=0
    read -r taken 2>/dev/null <"$job_dir/taken" || taken=0
    [ "$offset" -ge "$first" ] || offset=$first
    say "$marker" offset "$offset" taken "$taken"
    exec tail "$@" -c "+$((offset + 1))" "$job_dir/$stream" 2>/dev/null
}

# `kept job= stream= [lines=]`: all that is kept of a stream, or its last lines.
kept() {
    need job stream
    local first stream=${fields[stream]}
    [ -z "${fields[lines]-}" ] || exec tail -n "${fields[lines]}" "$job_dir/$stream"
    read -r first 2>/dev/null <"$job_dir/start.$stream" || first=0
    exec tail -c "+$((first + 1))" "$job_dir/$stream"
}

# While this process is there, somebody sees the job: sessions tell of those that nobody sees, and a shell that was
# left at its prompt ends.
be_seen() {
    # A full disk keeps nobody from it.
    { exec 5>>"$job_dir/watched"; } 2>/dev/null && flock --shared 5
}

# What the client says: `keys count=N text=OCTAL`, `data count=N` and N bytes, `eof`, `size rows= columns=`, `alive`.
#
# What has been taken is counted first and then handed on, by this process, even where its client goes: a client
# that comes back sends only the rest. Only the newest client's input counts.
follow_client() {
    local verb count taken owner silence=0
    trap '' PIPE
    be_seen
    if [ -e "$job_dir/in" ]; then
        # An earlier client's input may still wait for the command to read it.
        exec 9>>"$job_dir/feeding"
        flock 9
        [ -e "$job_dir/eof" ] || exec 4<>"$job_dir/in"
    fi
    read -r taken 2>/dev/null <"$job_dir/taken" || taken=0
    while hear; do
        count=${fields[count]:-0}
        if [ "$verb" = data ]; then
            head -c "$count" >"$job_dir/frame"
            [ "$(stat -c %s "$job_dir/frame")" = "$count" ] || break
        fi
        read -r owner <"$job_dir/feeder" || [ -n "$owner" ]
        case $verb in
        size) resize ;;
        keys | data | eof)
            [ "$owner" = "$marker" ] || continue
            take
            ;;
        esac
    done
    # The client is gone: nothing of this look stays.
    kill 0
}

resize() {
    [ ! -e "$job_dir/tty" ] || stty -F "$(cat "$job_dir/tty")" rows "${fields[rows]:-24}" cols "${fields[columns]:-80}"
}

# The next line of the client's. None comes where it is gone, or has been silent for so long; nor where it has
# fallen behind what is kept: it must not read the hole, but comes again, and is told what is missing.
hear() {
    local line='' part
    silence=0
    # What came of a line before the time was over is kept.
    until IFS= read -r -t "$TICK" part; do
        [ $? -gt 128 ] || return 1
        line+=$part
        silence=$((silence + TICK))
        [ "$silence" -lt "$SILENCE" ] || return 1
        if behind out "$out" || behind err "$err"; then return 1; fi
    done
    read_line "$line$part"
}

take() {
    if [ "$verb" = eof ]; then
        : >"$job_dir/eof"
        exec 4>&-
        kill "$(cat "$job_dir/holder")"
        return
    fi
    [ ! -e "$job_dir/eof" ] || return
    taken=$((taken + count))
    printf '%s\n' "$taken" >"$job_dir/taken.new" && mv "$job_dir/taken.new" "$job_dir/taken"
    # shellcheck disable=SC2059
    if [ "$verb" = keys ]; then printf "${fields[text]-}" >&4; else cat "$job_dir/frame" >&4; fi
}

# Whether a reader of a stream is at what is to be freed a tick of runner.sh's later.
behind() {
    local first fd name position
    read -r first 2>/dev/null <"$job_dir/start.$1" || return 1
    for fd in "/proc/$2/fd"/*; do
        [ "$fd" -ef "$job_dir/$1" ] || continue
        read -r name position <"/proc/$2/fdinfo/${fd##*/}"
        [ "$name" = pos: ] && [ "$position" -lt "$first" ]
        return
    done
    return 1
}

fail() {
    printf '%s\n' "$1" >&2
    exit 125
}

# `begin job=`: start it; once it answers, it counts as a session. Once is enough, more does nothing.
begin() {
    need job
    [ ! -e "$job_dir/started" ] || return 0
    read_job
    [ "$multi" = none ] || command -v "$multi" >/dev/null || missing "$multi"
    [ -z "$terminal" ] || command -v script >/dev/null || missing script
    # The locks are opened on the way to runner.sh, with no process of their own; it finds them open. It counts as
    # a session: no client ends the instance under it.
    set -- "$id" flock --nonblock --no-fork "$job_dir/alive" flock --shared --no-fork "$home/sessions.lock" \
        bash "$job_dir/runner.sh" hold "$id"
    case $multi in
    none) : "$(outlive setsid --fork "${@:2}" </dev/null)" ;;
    tmux)
        : >"$job_dir/out"
        outlive tmux -S "$home/tmux" new-session -d -s "$@" &&
            tmux -S "$home/tmux" pipe-pane -t "$id" "cat >>'$job_dir/out'"
        ;;
    screen)
        mkdir -p "$SCREENDIR" && chmod 700 "$SCREENDIR"
        outlive screen -dmS "$id" -L -Logfile "$job_dir/out" "${@:2}" && written_at_once
        ;;
    esac
    for _ in {1..100}; do
        [ ! -e "$job_dir/started" ] || return 0
        sleep 0.05
    done
    fail "it did not start"
}

# `outlive COMMAND…`: what it starts goes on when this connection ends, also where logind kills what a session
# leaves (KillUserProcesses=yes). There it belongs to the user's own systemd, which stays for who lingers.
outlive() {
    # Without `Delegate`, systemd would end all of it where the kernel kills one process for want of memory.
    local scope=(systemd-run --user --scope --quiet --collect --property=Delegate=yes --)
    if [ "$(loginctl show-session --property=KillUserProcesses --value 2>/dev/null)" = yes ] && lingers &&
        "${scope[@]}" true </dev/null >/dev/null 2>&1; then
        "${scope[@]}" "$@"
    else
        "$@"
    fi
}

lingers() {
    local user && user=$(id -un)
    [ -e "/var/lib/systemd/linger/$user" ] || loginctl enable-linger || sudo -n loginctl enable-linger "$user"
} >/dev/null 2>&1

# By default screen writes its log every ten seconds. It takes a moment until it can be told.
written_at_once() {
    for _ in {1..50}; do
        screen -S "$id" -X logfile flush 0 >/dev/null && return
        sleep 0.1
    done
    return 1
}

missing() {
    printf 'no %s on the instance\n' "$1" >&2
    exit 127
}

# `release job=`: nobody looks at the multiplexer's terminal; let it run all the same.
release() {
    need job
    : >"$job_dir/go"
}

# `attach job=`: be at the terminal of a multiplexer.
attach() {
    need job
    read_job
    if [ ! -s "$job_dir/exit" ]; then
        be_seen
        # A terminal that nobody here has heard of is taken for the usual one.
        infocmp "$TERM" >/dev/null 2>&1 || export TERM=xterm-256color
        (sleep 0.3; : >"$job_dir/go") &
        case $multi in
        tmux) tmux -S "$home/tmux" attach-session -t "$id" ;;
        screen) screen -x "$id" ;;
        esac
        : >"$job_dir/go"
    fi
    # The terminal goes a moment before the exit code is known.
    for _ in {1..20}; do
        if [ -s "$job_dir/exit" ] || tmux -S "$home/tmux" has-session -t "$id" 2>/dev/null || [ "$multi" = screen ]; then break; fi
        sleep 0.1
    done
    # A multiplexer takes what it showed with it: the last lines stay.
    if [ -s "$job_dir/exit" ]; then
        : >"$job_dir/told"
        tail -n 20 "$job_dir/out"
    fi
    true
}

# `state [job=]`: a line on that job, else on the one to come back to: the newest that runs, else the newest
# whose end nobody has been told, else the newest. Nothing for none. Before it `unbegun`, where there is one.
state() {
    local newest='' untold=''
    if [ -n "$id" ]; then
        [ ! -e "$job_dir/started" ] || tell_job
        return
    fi
    tell_unbegun
    while read -r job_dir; do
        [ -n "$newest" ] || newest=$job_dir
        if [ ! -s "$job_dir/exit" ]; then
            if runs; then
                tell_job
                return
            fi
        fi
        [ -n "$untold" ] || [ -e "$job_dir/told" ] || untold=$job_dir
    done < <(newest_first)
    job_dir=${untold:-$newest}
    [ -z "$job_dir" ] || tell_job
}

# A line `unbegun` where a client has wanted a job later than any that began: id=, final_state=, coming=yes where
# that client is still there.
tell_unbegun() {
    local pid coming=
    read -r job_dir < <(newest_first job) && [ ! -e "$job_dir/started" ] || return 0
    read_job
    if read -r pid 2>/dev/null <"$job_dir/session" && grep -qs session.sh "/proc/$pid/cmdline"; then coming=yes; fi
    say unbegun id "${job_dir##*/}" final_state "$final" coming "$coming"
}

# `jobs`: a line on each, the newest first.
jobs() {
    while read -r job_dir; do tell_job; done < <(newest_first)
}

# The folders of the jobs that have begun, or of those that have this file.
newest_first() {
    find "$home/runs" -mindepth 2 -maxdepth 2 -name "${1:-started}" -printf '%h\n' 2>/dev/null | sort -r
}

runs() { ! flock --shared --nonblock "$job_dir/alive" true; }

# A line `job` on one: id=, multi=, final_state=, state= (running, ended, or lost where nobody saw its end, with
# restarted=yes where the instance has restarted since it began), code= once it has ended, terminal=yes, input=yes, started=, ended= in seconds since 1970, out=, err= in
# bytes, command= but for a shell.
tell_job() {
    local code='' started ended='' command='' out err state restarted=''
    read_job
    if [ -s "$job_dir/boot" ] && [ "$(<"$job_dir/boot")" != "$(</proc/sys/kernel/random/boot_id)" ]; then restarted=yes; fi
    # An end may come in between: whether it runs is asked before its code is.
    if [ ! -s "$job_dir/exit" ] && runs; then state=running; else state=lost; fi
    if [ -s "$job_dir/exit" ]; then
        state=ended
        read -r code <"$job_dir/exit"
    fi
    [ ! -e "$job_dir/ended" ] || read -r ended <"$job_dir/ended"
    [ ! -e "$job_dir/command" ] || command=$(<"$job_dir/command")
    read -r started <"$job_dir/started"
    { read -r out && read -r err; } < <(stat -c %s "$job_dir/out" "$job_dir/err")
    say job id "${job_dir##*/}" multi "$multi" final_state "$final" state "$state" restarted "$restarted" code "$code" terminal "$terminal" \
        input "$input" started "$started" ended "$ended" out "$out" err "$err" command "$command"
}

read_job() {
    multi=none final=leave terminal='' input=''
    # shellcheck disable=SC1091
    . "$job_dir/job"
}

"$verb"
