# One client's session on the instance: `session.sh END RUN_ID REMOTE_DIR [IDLE_STOP MAX_SECONDS START NEW SPOT]`.
#
# Holds a shared lock while the client is there, so that the last client out can tell that it is the last. The
# kernel frees it when this process ends: the client hung up, died, or said nothing for a minute.
#
# END is the end of life asked for, `keep` for none, `look` for none by a client that changes nothing there either,
# `watch` for one that is not waited for either: it holds no lock.
# IDLE_STOP and MAX_SECONDS are new limits for the guard (`-`: as they were), START tells one start of the
# instance from another, and NEW says that it was launched with a guard. SPOT: AWS may take it back.
#
# The client sends `alive` now and then, `fetching` when it begins to fetch everything, and in the end `leave`, or
# `leave fetched` where it has. It is told `joined …`, `notice TIME` where AWS takes the instance back, and in the end
#   others [run=RUN_ID]   somebody else is there, or just that command
#   last END [WORD…]      nobody is; END is what was asked for last, `-` for nothing, and the words are
#     unfetched           a command ended after this client began to fetch
#     elsewhere=NAME      another folder, base64, holds what nobody has fetched
#     left=NAME           what a command left working
#     untold=ID,ID…       commands whose end no client was there to see
set -u
end=$1 run_id=$2 remote_dir=$3 idle_stop=${4:--} max_seconds=${5:--} started=${6:--} new=${7:--} spot=${8:-}
home=$HOME/.ec2tasks
run=$home/runs/$run_id
# A folder of the instance, and in it whether it was fetched since anyone could write there.
folder=$home/folders/${remote_dir//\//%}

found=$(find "$HOME/$remote_dir" -mindepth 1 -maxdepth 1 ! -name .ec2tasks -print -quit 2>/dev/null)
mkdir -p "$HOME/$remote_dir/.ec2tasks/incoming" || exit 1
umask 077
# A full disk keeps nobody out: it takes a session to fetch what has filled it.
mkdir -p "$run" "$folder"
chmod 700 "$home" "$run"
[ -d "$home" ] || exit 1
# Whether all that is in the folder had been fetched when this client came.
if [ -e "$folder/fetched" ]; then before=fetched; else before=unfetched; fi
looks=
case $end in look | watch) looks=yes ;; esac
[ -n "$looks" ] || rm -f "$folder/fetched"

# A client that comes back after its connection broke is one client: the session that it lost may not know yet.
if read -r earlier 2>/dev/null <"$run/session" && grep -qs session.sh "/proc/$earlier/cmdline"; then
    kill "$earlier"
fi
printf '%s\n' "$$" >"$run/session"

exec 9>>"$home/sessions.lock" 7<"$home"

# Whether nobody else holds the lock. Who decides by that holds the folder's meanwhile: the guard looks too, and
# one look must not be taken by another for somebody.
alone() {
    flock --timeout 5 7
    flock --exclusive --nonblock 9
    local code=$?
    flock --unlock 7
    return $code
}

# Waits while a last client decides on the instance's end of life.
if alone; then
    # Nobody is here: an end that is left over was a client's that died, and no longer asked for.
    rm -f "$home/final_state"
fi
if [ "$end" = watch ]; then flock --unlock 9; else flock --shared 9; fi
# The end asked for last is the one that counts; it is there for as long as someone is.
[ "$end" = keep ] || [ -n "$looks" ] || printf '%s\n' "$end" >"$home/final_state"

# What the client hands over for the run: files by name, base64 each, never on a command line.
while IFS=' ' read -r word name body; do
    case $word in
    file) base64 -d <<<"$body" >"$run/$name" || exit 1 ;;
    *) break ;;
    esac
done

limit() {
    [ "$2" != - ] || return 0
    grep -qsFx "$1 $2" "$home/limits" && return
    { grep -sv "^$1 " "$home/limits"; printf '%s %s\n' "$1" "$2"; } >"$home/limits.$run_id" &&
        mv -f "$home/limits.$run_id" "$home/limits"
}
limit idle_stop "$idle_stop"
limit max_seconds "$max_seconds"
limit reset "$started"

# Nothing is on this instance before its guard is: it is armed early in each boot, where there is one.
guarded() {
    local tries=0
    until [ -e /run/ec2tasks-guard/state ]; do
        [ "$new" = new ] || [ -e /var/lib/ec2tasks-guard/guard.sh ] || return 0
        [ $((tries += 1)) -le 450 ] || return 1
        sleep 0.2
    done
}
if [ -n "$found" ]; then found=used; else found=empty; fi
if guarded; then guard=guarded; else guard=unguarded; fi
printf 'joined %s %s %s %s\n' "$found" "$guard" "$before" "$HOME"

# Whether a command ended only after this client began to fetch.
came_later() {
    local one
    [ -e "$run/fetching" ] || return 1
    for one in "$home"/runs/*/ended; do
        # Not `-nt`: two files of one tick of the kernel's clock are of the same age.
        if [ -e "$one" ] && ! [ "$one" -ot "$run/fetching" ]; then return 0; fi
    done
    return 1
}

# Another folder that holds what nobody has fetched.
elsewhere() {
    local one
    for one in "$home"/folders/*/; do
        if [ -d "$one" ] && [ "$one" != "$folder/" ] && [ ! -e "$one/fetched" ]; then
            one=$(basename "$one")
            printf '%s' "${one//%//}" | base64 -w 0
            return 0
        fi
    done
    return 1
}

# Commands that have ended, with no client there to see it.
untold() {
    local one found=
    for one in "$home"/runs/*/; do
        if [ -s "$one/exit" ] && [ ! -e "$one/told" ]; then found+=${found:+,}$(basename "$one"); fi
    done
    [ -n "$found" ] && printf '%s' "$found"
}

# A command that still runs.
running() {
    local one
    for one in "$home"/runs/*/; do
        if [ ! -e "$one/started" ] || [ -s "$one/exit" ]; then continue; fi
        flock --shared --nonblock "$one/alive" true || { basename "$one"; return; }
    done
    return 1
}

# The name of what a command of ec2tasks left to work on, in a tmux or screen of its own or with nohup, where a guard
# sees to it that it ends one day.
left_behind() {
    local path key value name ignored
    [ "$guard" = guarded ] || return 1
    while read -r path; do
        name='' ignored=0
        while IFS=$':\t' read -r key value; do
            case $key in
            Name) name=${value%%[: ]*} ;;
            State) [[ $value != Z* ]] || continue 2 ;;
            SigIgn) ignored=$value ;;
            esac
        done <"${path%environ}status"
        # Bit 0 is SIGHUP.
        if [[ $name =~ ^(tmux|screen)$ ]] || ((0x$ignored & 1)); then
            printf '%s' "${name//[^[:alnum:]._-]/}"
            return 0
        fi
    done < <(grep -lsaz '^EC2TASKS_RUN=' /proc/[0-9]*/environ)
    return 1
} 2>/dev/null

# What the metadata service answers: `metadata METHOD PATH HEADER`.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
metadata() {
    exec 5<>/dev/tcp/169.254.169.254/80 || return
    printf '%s /latest/%s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s\r\n\r\n' "$1" "$2" "$3" >&5
    # The status, the headers up to an empty line, then the answer.
    timeout 3 tr -d '\r' <&5 | awk 'NR == 1 && $2 != 200 { exit } answer; /^$/ { answer = 1 }'
    exec 5>&-
}

# Whether AWS takes this spot instance back; said once, two minutes ahead.
look_for_notice() {
    token=$(metadata PUT api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60')
    said=$(metadata GET meta-data/spot/instance-action "X-aws-ec2-metadata-token: $token")
    case $said in
    *'"time"'*)
        said=${said#*'"time"'*'"'}
        printf 'notice %s\n' "${said%%'"'*}"
        spot=
        ;;
    esac
} 2>/dev/null

while read -r -t 60 word fetched; do
    [ -z "$spot" ] || look_for_notice
    # A tick of the kernel's clock after all that ended before.
    [ "$word" != fetching ] || { sleep 0.02 && : >"$run/fetching"; }
    [ "$word" = leave ] || continue
    # Two clients that leave at once must not both find the other still there: the shared lock goes first.
    flock --unlock 9
    if [ "$end" != watch ] && alone; then
        read -r said 2>/dev/null <"$home/final_state" || said=-
        if came_later; then said+=' unfetched'; fetched=; fi
        if name=$(elsewhere); then said+=" elsewhere=$name"; fi
        if name=$(left_behind); then said+=" left=$name" fetched=; fi
        if name=$(untold); then said+=" untold=$name"; fi
        [ "$fetched" != fetched ] || : >"$folder/fetched"
        printf 'last %s\n' "$said"
        rm -f "$home/final_state"
    else
        name=$(running) && name=" run=$name"
        printf 'others%s\n' "$name"
    fi
    # The lock stays while the client ends the instance, so that nobody joins one that is going.
    read -r -t 60 word
    exit 0
done
exit 0
