# A command that outlives its client: `held.sh start RUN_ID MULTI END REMOTE_DIR BELOW ENV`, then
# `held.sh attach RUN_ID`, `held.sh follow RUN_ID`, `held.sh state`.
#
# MULTI is tmux, screen, or none for a command with no terminal. What it prints is kept in the run's folder
# as `log`, and `ended` holds its exit code once it has ended. While it runs it counts as a session, so that
# no client ends the instance under it.
set -u
home=$HOME/.ec2tasks
export SCREENDIR=$home/screen
tmux_there() { tmux -S "$home/tmux" "$@"; }

start() {
    run=$home/runs/$1 multi=$2
    [ "$multi" = none ] || command -v "$multi" >/dev/null || exit 127
    printf '%s\n' "$multi" >"$run/multi"
    printf '%s\n' "$3" >"$run/end"
    : >"$run/log"
    # Some images end a user's processes at logout.
    loginctl enable-linger >/dev/null 2>&1
    set -- bash "$run/held.sh" inside "$1" "$4" "$5" "$6"
    case $multi in
    tmux)
        tmux_there new-session -d -s "${run##*/}" "$@" &&
            tmux_there pipe-pane -t "${run##*/}" "cat >>'$run/log'"
        ;;
    screen)
        mkdir -p "$SCREENDIR" && chmod 700 "$SCREENDIR"
        screen -dmS "${run##*/}" -L -Logfile "$run/log" "$@" &&
            written_at_once "${run##*/}"
        ;;
    none) setsid nohup "$@" >"$run/log" 2>&1 </dev/null 9>&- & ;;
    esac
}

# By default screen writes its log every ten seconds. It takes a moment until it can be told.
written_at_once() {
    for _ in $(seq 50); do
        screen -S "$1" -X logfile flush 0 >/dev/null && return
        sleep 0.1
    done
    return 1
}

# Inside the terminal of its own: wait until someone looks or nobody will, run, tell how it ended.
inside() {
    run=$home/runs/$1
    # Ctrl-C is for the command; this shell stays to tell how it ended.
    trap : INT
    # The lock is this shell's alone: what the command leaves in the background does not hold it.
    exec 8>>"$home/sessions.lock"
    flock --shared 8
    for _ in $(seq 600); do
        [ -e "$run/go" ] && break
        sleep 0.05
    done
    bash "$run/job.sh" "$1" "$2" "$3" "$4" 8>&-
    code=$?
    # What it printed last must be in the log before its end is known.
    [ "$(cat "$run/multi")" = none ] || sleep 0.3
    printf '%s\n' "$code" >"$run/ended"
}

attach() {
    run=$home/runs/$1
    if [ ! -e "$run/ended" ]; then
        # A terminal that nobody here has heard of is taken for the usual one.
        infocmp "$TERM" >/dev/null 2>&1 || export TERM=xterm-256color
        (sleep 0.3; : >"$run/go") &
        case $(cat "$run/multi") in
        tmux) tmux_there attach-session -t "$1" ;;
        screen) screen -x "$1" ;;
        none) follow "$1" ;;
        esac
        : >"$run/go"
    fi
    # A multiplexer takes what it showed with it: the last lines stay.
    if [ -e "$run/ended" ] && [ "$(cat "$run/multi")" != none ]; then tail -n 20 "$run/log"; fi
    true
}

follow() {
    run=$home/runs/$1
    : >"$run/go"
    until [ -e "$run/ended" ] || ! alive "$1"; do sleep 0.1; done &
    tail --pid=$! -s 0.1 -c +1 -f "$run/log"
}

# Nobody looks: let it run all the same.
release() { : >"$home/runs/$1/go"; }

# That command, or the newest: `RUN_ID MULTI END CODE`, the code `-` while it runs; nothing for none.
state() {
    for run in $(find "$home/runs/${1:-}" -maxdepth 2 -name multi 2>/dev/null | sort -r); do
        run=${run%/multi}
        if [ ! -e "$run/ended" ] && ! alive "${run##*/}"; then code=lost; else code=$(cat "$run/ended" 2>/dev/null || echo -); fi
        printf '%s %s %s %s\n' "${run##*/}" "$(cat "$run/multi")" "$(cat "$run/end")" "$code"
        return
    done
}

# A reboot ends what ran, without telling.
alive() {
    pgrep -f "held.sh inside $1 " >/dev/null
}

"$@"
