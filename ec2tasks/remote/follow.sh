# A client's look at what runs on the instance: `follow.sh VERB …`, one function a verb.
set -u
home=$HOME/.ec2tasks
export SCREENDIR=$home/screen
TICK=2     # seconds
SILENCE=60 # seconds without a word from a client after which it is taken for gone
multi=none final=leave terminal='' input=''

# `follow RUN_ID WORD OUT ERR [start|dump]`: what it prints from these offsets on, until it ends; its exit code.
#
# On each stream a line comes first: WORD, the offset it goes on from, how much input was taken. What stands
# before it is not the command's. The client says on stdin what follow_client understands.
follow() {
    run=$home/runs/$1
    word=$2
    if [ "${5:-}" = start ]; then begin "$1" || exit; fi
    [ -e "$run/started" ] || fail "no run $1 on the instance"
    if [ "${5:-}" = dump ]; then
        (show out "$3")
        (show err "$4" >&2)
        exit 0
    fi
    exec 3<&0 </dev/null
    printf '%s' "$word" >"$run/feeder"
    # Ends with the command: the lock goes with it.
    flock --shared "$run/alive" true 3<&- &
    waiter=$!
    show out "$3" --pid="$waiter" -s 0.2 -f 3<&- &
    out=$!
    show err "$4" --pid="$waiter" -s 0.2 -f >&2 3<&- &
    err=$!
    follow_client <&3 >/dev/null 2>&1 &
    client=$!
    exec 3<&-
    wait "$waiter"
    # Changes nothing, but wakes a tail that would look again after a while.
    fallocate --keep-size --offset 0 --length 1 "$run/out" 2>/dev/null &
    fallocate --keep-size --offset 0 --length 1 "$run/err" 2>/dev/null
    wait "$out" "$err"
    kill "$client"
    # Without an exit code it was lost: the client asks for that.
    [ -s "$run/exit" ] || exit 255
    : >"$run/told"
    read -r code <"$run/exit"
    exit "$code"
}

# `show STREAM OFFSET [option of tail…]`
show() {
    local stream=$1 offset=$2 first taken
    shift 2
    read -r first 2>/dev/null <"$run/start.$stream" || first=0
    read -r taken 2>/dev/null <"$run/taken" || taken=0
    [ "$offset" -ge "$first" ] || offset=$first
    printf '%s %s %s\n' "$word" "$offset" "$taken"
    exec tail "$@" -c "+$((offset + 1))" "$run/$stream" 2>/dev/null
}

# `kept RUN_ID STREAM`: all that is kept of a stream.
kept() {
    local first
    read -r first 2>/dev/null <"$home/runs/$1/start.$2" || first=0
    exec tail -c "+$((first + 1))" "$home/runs/$1/$2"
}

# What the client says: `keys N TEXT` (octal), `data N` and N bytes, `eof`, `size ROWS COLUMNS`, or `alive`.
#
# What has been taken is counted first and then handed on, by this process, even where its client goes: a client
# that comes back sends only the rest. Only the newest client's input counts.
follow_client() {
    local what count text taken owner silence=0
    trap '' PIPE
    if [ ! -f "$run/command" ]; then
        exec 5>>"$run/watched"
        flock --shared 5
    fi
    if [ -e "$run/in" ]; then
        # An earlier client's input may still wait for the command to read it.
        exec 9>>"$run/feeding"
        flock 9
        [ -e "$run/eof" ] || exec 4<>"$run/in"
    fi
    read -r taken 2>/dev/null <"$run/taken" || taken=0
    while hear; do
        if [ "$what" = data ]; then
            head -c "$count" >"$run/frame"
            [ "$(stat -c %s "$run/frame")" = "$count" ] || break
        fi
        read -r owner <"$run/feeder" || [ -n "$owner" ]
        case $what in
        size) [ ! -e "$run/tty" ] || stty -F "$(cat "$run/tty")" rows "$count" cols "$text" ;;
        alive) ;;
        *)
            [ "$owner" = "$word" ] || continue
            take
            ;;
        esac
    done
    # The client is gone: nothing of this look stays.
    kill 0
}

# The next word of the client's. None comes where it is gone, or has been silent for so long; nor where it has
# fallen behind what is kept: it must not read the hole, but comes again, and is told what is missing.
hear() {
    local line='' part rest
    silence=0
    # What came of a line before the time was over is kept.
    until IFS= read -r -t "$TICK" part; do
        [ $? -gt 128 ] || return 1
        line+=$part
        silence=$((silence + TICK))
        [ "$silence" -lt "$SILENCE" ] || return 1
        if behind out "$out" || behind err "$err"; then return 1; fi
    done
    line+=$part
    what=${line%% *} rest=${line#* }
    count=${rest%% *} text=${rest#* }
}

take() {
    case $what in
    eof)
        : >"$run/eof"
        exec 4>&-
        kill "$(cat "$run/holder")"
        return
        ;;
    esac
    [ ! -e "$run/eof" ] || return
    taken=$((taken + count))
    printf '%s\n' "$taken" >"$run/taken.new" && mv "$run/taken.new" "$run/taken"
    # shellcheck disable=SC2059
    if [ "$what" = keys ]; then printf "$text" >&4; else cat "$run/frame" >&4; fi
}

# Whether a reader of a stream is at what is to be freed a tick of runner.sh's later.
behind() {
    local first fd name position
    read -r first 2>/dev/null <"$run/start.$1" || return 1
    for fd in "/proc/$2/fd"/*; do
        [ "$fd" -ef "$run/$1" ] || continue
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

# `begin RUN_ID`: start it; once it answers, it counts as a session. Once is enough, more does nothing.
begin() {
    run=$home/runs/$1
    [ ! -e "$run/started" ] || return 0
    read_job
    [ "$multi" = none ] || command -v "$multi" >/dev/null || missing "$multi"
    [ -z "$terminal" ] || command -v script >/dev/null || missing script
    # The locks are opened on the way to runner.sh, with no process of their own; it finds them open. It counts as
    # a session: no client ends the instance under it.
    set -- "$1" flock --nonblock --no-fork "$run/alive" flock --shared --no-fork "$home/sessions.lock" \
        bash "$run/runner.sh" hold "$1"
    case $multi in
    none) : "$(setsid --fork "${@:2}" </dev/null)" ;;
    tmux)
        : >"$run/out"
        tmux -S "$home/tmux" new-session -d -s "$@" &&
            tmux -S "$home/tmux" pipe-pane -t "$1" "cat >>'$run/out'"
        ;;
    screen)
        mkdir -p "$SCREENDIR" && chmod 700 "$SCREENDIR"
        screen -dmS "$1" -L -Logfile "$run/out" "${@:2}" && written_at_once "$1"
        ;;
    esac
    for _ in {1..100}; do
        [ ! -e "$run/started" ] || return 0
        sleep 0.05
    done
    fail "it did not start"
}

# By default screen writes its log every ten seconds. It takes a moment until it can be told.
written_at_once() {
    for _ in {1..50}; do
        screen -S "$1" -X logfile flush 0 >/dev/null && return
        sleep 0.1
    done
    return 1
}

missing() {
    printf 'no %s on the instance\n' "$1" >&2
    exit 127
}

# `release RUN_ID`: nobody looks at the multiplexer's terminal; let it run all the same.
release() { : >"$home/runs/$1/go"; }

# `attach RUN_ID`: be at the terminal of a multiplexer.
attach() {
    run=$home/runs/$1
    read_job
    if [ ! -s "$run/exit" ]; then
        # A terminal that nobody here has heard of is taken for the usual one.
        infocmp "$TERM" >/dev/null 2>&1 || export TERM=xterm-256color
        (sleep 0.3; : >"$run/go") &
        case $multi in
        tmux) tmux -S "$home/tmux" attach-session -t "$1" ;;
        screen) screen -x "$1" ;;
        esac
        : >"$run/go"
    fi
    # The terminal goes a moment before the exit code is known.
    for _ in {1..20}; do
        if [ -s "$run/exit" ] || tmux -S "$home/tmux" has-session -t "$1" 2>/dev/null || [ "$multi" = screen ]; then break; fi
        sleep 0.1
    done
    # A multiplexer takes what it showed with it: the last lines stay.
    if [ -s "$run/exit" ]; then
        : >"$run/told"
        tail -n 20 "$run/out"
    fi
    true
}

# `signal RUN_ID NAME`: to all that runs in the foreground there. One that comes early waits for the command.
signal() {
    local group
    run=$home/runs/$1
    for _ in {1..200}; do
        [ ! -s "$run/exit" ] || return 0
        [ ! -s "$run/pid" ] || break
        sleep 0.05
    done
    group=$(ps -o tpgid= -p "$(cat "$run/pid")" | tr -d ' ')
    [ "$group" -gt 0 ] || group=$(ps -o pgid= -p "$(cat "$run/pid")" | tr -d ' ')
    kill "-$2" -- "-$group"
}

# `state [RUN_ID]`: a line on that run, else on the one to come back to: the newest that runs, else the newest
# whose end nobody has been told, else the newest. Nothing for none.
state() {
    local found='' untold=''
    if [ -n "${1:-}" ]; then
        run=$home/runs/$1
        [ ! -e "$run/started" ] || line
        return
    fi
    while read -r run; do
        [ -n "$found" ] || found=$run
        if [ ! -s "$run/exit" ]; then
            if runs; then
                line
                return
            fi
        fi
        [ -n "$untold" ] || [ -e "$run/told" ] || untold=$run
    done < <(newest_first)
    run=${untold:-$found}
    [ -z "$run" ] || line
}

# `jobs`: a line on each, the newest first.
jobs() {
    while read -r run; do line; done < <(newest_first)
}

newest_first() {
    find "$home/runs" -mindepth 2 -maxdepth 2 -name started -printf '%h\n' 2>/dev/null | sort -r
}

runs() { ! flock --shared --nonblock "$run/alive" true; }

# RUN_ID MULTI END CODE TERMINAL INPUT STARTED ENDED OUT ERR COMMAND: CODE `-` while it runs, `lost` where a
# restart ended it; TERMINAL and INPUT `yes` or `-`; OUT and ERR in bytes; COMMAND base64, `-` for a shell.
line() {
    local code='' started ended='' command='' out err
    read_job
    # An end may come in between: whether it runs is asked before its code is.
    if [ ! -s "$run/exit" ] && runs; then code=-; else code=lost; fi
    [ ! -s "$run/exit" ] || read -r code <"$run/exit"
    [ ! -e "$run/ended" ] || read -r ended <"$run/ended"
    [ ! -e "$run/command" ] || command=$(base64 -w 0 "$run/command")
    read -r started <"$run/started"
    { read -r out && read -r err; } < <(stat -c %s "$run/out" "$run/err")
    printf '%s %s %s %s %s %s %s %s %s %s %s\n' "${run##*/}" "$multi" "$final" "$code" "${terminal:--}" \
        "${input:--}" "$started" "${ended:--}" "$out" "$err" "${command:--}"
}

read_job() {
    multi=none final=leave terminal='' input=''
    # shellcheck disable=SC1091
    . "$run/job"
}

"$@"
