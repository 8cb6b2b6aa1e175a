# One client's session on the instance: `session.sh END RUN_ID REMOTE_DIR [IDLE_STOP MAX_SECONDS START NEW]`.
#
# Holds a shared lock for as long as the client is there, so that the last client out can tell that it is
# the last. The lock belongs to this process: it goes when the client hangs up, dies, or says nothing for a
# minute. The client sends a line now and then, then `leave`, or `leave fetched` where it has fetched all there
# is; the answer is `last END` or `others`. IDLE_STOP and MAX_SECONDS are new limits for the guard (`-`: as they
# were), START tells one start of the instance from another, and NEW says that it was launched with a guard.
set -u
end=$1 run_id=$2 remote_dir=$3 idle_stop=${4:--} max_seconds=${5:--} started=${6:--} new=${7:--}
home=$HOME/.ec2tasks
run=$home/runs/$run_id
# A folder of the instance, and in it whether it was fetched since anyone could write there.
folder=$home/folders/${remote_dir//\//%}

mkdir -p "$run" "$folder" "$HOME/$remote_dir" && rm -f "$folder/fetched" || exit 1
chmod 700 "$home" "$run"

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
flock --shared 9
# The end asked for last is the one that counts; it is there for as long as someone is.
[ "$end" = keep ] || printf '%s\n' "$end" >"$home/final_state"

# What the client hands over for the run: files by name, base64 each, never on a command line.
while IFS=' ' read -r word name body; do
    case $word in
    file) printf '%s' "$body" | base64 -d >"$run/$name" && chmod 600 "$run/$name" || exit 1 ;;
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
if guarded; then printf 'joined\n'; else printf 'joined unguarded\n'; fi

while read -r -t 60 word fetched; do
    [ "$word" = leave ] || continue
    # Two clients that leave at once must not both find the other still there: the shared lock goes first.
    flock --unlock 9
    if alone; then
        [ "$fetched" != fetched ] || : >"$folder/fetched"
        printf 'last %s\n' "$(cat "$home/final_state" 2>/dev/null)"
        rm -f "$home/final_state"
    else
        printf 'others\n'
    fi
    # The lock stays while the client ends the instance, so that nobody joins one that is going.
    read -r -t 60 word
    exit 0
done
exit 0
