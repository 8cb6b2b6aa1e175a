# One client's session on the instance: `session.sh END RUN_ID REMOTE_DIR`.
#
# Holds a shared lock for as long as the client is there, so that the last client out can tell that it is
# the last. The lock belongs to this process: it goes when the client hangs up, dies, or says nothing for a
# minute. The client sends a line now and then, then `leave`; the answer is `last END` or `others`.
set -u
end=$1 run_id=$2 remote_dir=$3
home=$HOME/.ec2tasks
run=$home/runs/$run_id

found=$(find "$HOME/$remote_dir" -mindepth 1 -maxdepth 1 ! -name .ec2tasks -print -quit 2>/dev/null)
mkdir -p "$HOME/$remote_dir/.ec2tasks/incoming" || exit 1
umask 077
# On a full disk a client that hands nothing over gets on all the same, to fetch what is there.
mkdir -p "$run"
chmod 700 "$home" "$run"

# A client that comes back after its connection broke is one client: the session that it lost may not know yet.
if read -r earlier 2>/dev/null <"$run/session" && grep -qs session.sh "/proc/$earlier/cmdline"; then
    kill "$earlier"
fi
printf '%s\n' "$$" >"$run/session"

exec 9>>"$home/sessions.lock"
# Waits while a last client decides on the instance's end of life.
if flock --exclusive --nonblock 9; then
    # Nobody is here: an end that is left over was a client's that died, and no longer asked for.
    rm -f "$home/final_state"
fi
flock --shared 9
# The end asked for last is the one that counts; it is there for as long as someone is.
[ "$end" = keep ] || printf '%s\n' "$end" >"$home/final_state"

# What the client hands over for the run: files by name, base64 each, never on a command line.
while IFS=' ' read -r word name body; do
    case $word in
    file) base64 -d <<<"$body" >"$run/$name" || exit 1 ;;
    *) break ;;
    esac
done
if [ -n "$found" ]; then found=used; else found=empty; fi
printf 'joined %s %s\n' "$found" "$HOME"

while read -r -t 60 word; do
    [ "$word" = leave ] || continue
    # Two clients that leave at once must not both find the other still there: the shared lock goes first.
    flock --unlock 9
    if flock --exclusive --nonblock 9; then
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
