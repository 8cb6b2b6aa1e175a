# Keeps one command on the instance: `runner.sh hold JOB_ID`, in a session of its own or in a multiplexer.
#
# The command is a process of the instance's own, whoever is connected. The job's folder holds what it prints
# (`out`, `err`), and tells how it stands: `alive` is locked from before `started` is there until after `exit`
# has its code, and the kernel frees the lock whatever happens. Neither a lock nor a code: it was lost.
set -u
id=$2
home=$HOME/.ec2tasks
job_dir=$home/runs/$id
TICK=5 KEPT_JOBS=50 IDLE_SHELL_TICKS=120
multi=none terminal='' input='' log_mb=0 rows=24 columns=80 term='' lacking='' lacking_bare=''
warn_before=0
# shellcheck disable=SC1091
. "$job_dir/job"

# From the command's start to its end, once however often a client asks for it: it may have asked before, and
# not heard the answer.
hold() {
    [ ! -e "$job_dir/started" ] || exit 0
    # Both locks are this shell's alone; what the command leaves in the background does not hold them.
    take_lock "$job_dir/alive" && exec 7<&"$lock" {lock}<&-
    take_lock "$home/sessions.lock" && exec 8<&"$lock" {lock}<&-
    trap : INT
    take_input
    : >>"$job_dir/out"
    : >>"$job_dir/err"
    reserve ended
    reserve exit
    cat /proc/sys/kernel/random/boot_id >"$job_dir/boot" 2>/dev/null
    printf '%(%s)T\n' -1 >"$job_dir/started"
    # Whoever asked for it has the answer, and holds nothing of ours.
    [ "$multi" != none ] || exec >/dev/null 2>&1
    local before=0 code
    count_killed && before=$killed
    if [ "$multi" = none ]; then
        keep </dev/null >/dev/null 2>&1 7>&- 8>&- &
    else
        # The terminal goes before it does.
        setsid bash "$job_dir/runner.sh" keep "$id" </dev/null >/dev/null 2>&1 7>&- 8>&- &
    fi
    run_it 7>&- 8>&-
    code=$?
    if [ "$code" -ne 0 ] && count_killed && [ "$killed" -gt "$before" ]; then say_memory; fi
    # Any program may end with bash's own code.
    if [ "$code" -eq 127 ] && [ -e "$job_dir/lacks" ]; then say_lacking; fi
    [ "$multi" = none ] || sleep 0.3 # what it printed last must be in the log before its end is known
    tell ended "$(printf '%(%s)T' -1)"
    tell exit "$code"
    [ ! -e "$job_dir/holder" ] || kill "$(cat "$job_dir/holder")" 2>/dev/null
}

# How a command ended must be told even where it has filled the disk: room for that is kept, written over in
# place, and given its name once it is whole.
reserve() { printf '%12s\n' '' >"$job_dir/$1.new"; }
tell() {
    printf '%-12s\n' "$2" 1<>"$job_dir/$1.new"
    mv "$job_dir/$1.new" "$job_dir/$1"
}

# Where flock left this file open.
take_lock() {
    local fd
    for fd in "/proc/$$/fd"/*; do
        if [ "$fd" -ef "$1" ]; then
            lock=${fd##*/}
            return 0
        fi
    done
    return 1
}

# Its input is a pipe that no client holds the end of: who goes without saying `eof` has not ended it.
take_input() {
    if [ "$multi" != none ]; then return; fi
    if [ -z "$input" ]; then
        exec </dev/null
        return
    fi
    mkfifo -m 600 "$job_dir/in"
    exec 4<>"$job_dir/in"
    sleep infinity >/dev/null 2>&1 7>&- 8>&- &
    printf '%s' "$!" >"$job_dir/holder"
    exec <"$job_dir/in" 4>&-
}

run_it() {
    if [ "$multi" != none ]; then
        # Wait until someone looks, or nobody will.
        for _ in {1..600}; do
            [ ! -e "$job_dir/go" ] || break
            sleep 0.05
        done
        # This shell would have a word to say there where a signal ends it.
        exec 6>&2 2>/dev/null
        bash "$job_dir/job.sh" "$id" 2>&6 6>&-
    elif [ -n "$terminal" ]; then
        script -qfec "bash '$job_dir/runner.sh' inside '$id'" /dev/null >>"$job_dir/out" 2>&1
    else
        # A process group of its own: it gets the signals, and this shell is there to tell.
        setsid bash "$job_dir/job.sh" "$id" >>"$job_dir/out" 2>>"$job_dir/err"
    fi
}

# On the terminal that `script` made: with the size and the ways of the user's own.
inside() {
    tty >"$job_dir/tty"
    stty sane rows "$rows" cols "$columns"
    export TERM=$term
    infocmp "$TERM" >/dev/null 2>&1 || export TERM=xterm-256color
    exec bash "$job_dir/job.sh" "$id"
}

# How many processes the kernel has killed for want of memory.
count_killed() {
    local lines line
    mapfile -t lines </proc/vmstat
    for line in "${lines[@]}"; do
        killed=${line#oom_kill }
        [ "$killed" = "$line" ] || return 0
    done
    return 1
}

say_memory() {
    : >"$job_dir/memory"
    say 'the instance ran out of memory, and the kernel killed a process: a larger --type has more'
}

# The job's folder holds the environment that the command ran in, if any.
say_lacking() {
    if [ -s "$job_dir/lacks" ]; then say "$lacking"; else say "$lacking_bare"; fi
}

# A line of ours behind the command's own output.
say() {
    local stream=err end='\n'
    if [ "$multi" != none ] || [ -n "$terminal" ]; then stream=out end='\r\n'; fi
    printf 'ec2tasks: %s%b' "$1" "$end" >>"$job_dir/$stream"
}

# Beside the command: keeps its output within bounds, and ends a shell that was left at its prompt.
keep() {
    local idle=0 tidied='' keeper=$BASHPID began
    local -A freed=([out]=0 [err]=0)
    IFS=' .' read -r began _ </proc/uptime
    while sleep "$TICK" && [ -d "$job_dir" ]; do
        # Not at once: most commands are short, and what they need is the machine.
        if [ -z "$tidied" ]; then
            tidied=yes
            tidy
            bash "$job_dir/sampler.sh" "$id" "$keeper" "$began" &
            [ "$warn_before" = 0 ] || bash "$job_dir/warner.sh" "$id" "$keeper" "$began" &
        fi
        bound out
        bound err
        if flock --shared --nonblock "$job_dir/alive" true; then break; fi
        if [ -f "$job_dir/command" ] || is_used; then idle=0; else idle=$((idle + 1)); fi
        [ "$idle" -lt "$IDLE_SHELL_TICKS" ] || kill -HUP "$(shell)"
    done
    sleep "$TICK"
    bound out
    bound err
}

# Whether someone is at the shell, or something runs in it. Who reads it holds `watched`.
is_used() {
    ! flock --exclusive --nonblock "$job_dir/watched" true || pgrep -P "$(shell)" >/dev/null
}

shell() { pgrep -P "$(cat "$job_dir/pid")" | head -n 1; }

# Offsets in the output never change: the oldest part becomes a hole. What is to be freed is said a tick
# before, so that whoever still reads there stops first.
bound() {
    local stream=$1 first size
    read -r first 2>/dev/null <"$job_dir/start.$stream" || first=0
    if [ "$first" -gt "${freed[$stream]}" ]; then
        fallocate --punch-hole --offset 0 --length "$first" "$job_dir/$stream" || return
        freed[$stream]=$first
    fi
    size=$(stat -c %s "$job_dir/$stream")
    if [ "$log_mb" -gt 0 ] && [ $((size - first)) -gt $((log_mb * 1048576)) ]; then
        printf '%s\n' $((size - log_mb * 1048576)) >"$job_dir/start.new" && mv "$job_dir/start.new" "$job_dir/start.$stream"
    fi
}

# The folders of the oldest jobs go, but for one that still runs.
tidy() {
    # Where a user does not linger, logind takes its shared memory away with its last connection (RemoveIPC).
    loginctl enable-linger
    local old
    find "$home/runs" -mindepth 1 -maxdepth 1 -type d | sort -r | tail -n "+$((KEPT_JOBS + 1))" |
        while read -r old; do
            if [ ! -e "$old/alive" ] || flock --shared --nonblock "$old/alive" true; then rm -rf "$old"; fi
        done
}

"$1"
