# Tells how far cloud-init is with this boot, the user's own user data included: `cloud_init.sh FIELDS…`.
#
# It says `boot state=STATE seconds=N`: none (this machine has no cloud-init), running or ended; since the guard was
# armed. With `ended` comes result=, what cloud-init says of itself, and last=, the last lines that it logged.
# https://docs.cloud-init.io/en/latest/explanation/return_codes.html
# shellcheck disable=SC2154  # protocol.sh stands before it
set -u
read_fields "$@"
result=/run/cloud-init/result.json log=/var/log/cloud-init-output.log
armed=0
while read -r name value; do
    [ "$name" != armed ] || armed=$value
done 2>/dev/null </run/ec2tasks-guard/state
IFS=' .' read -r now _ </proc/uptime
seconds=$((now - armed))

if [ ! -d /run/cloud-init ]; then
    say boot state none seconds "$seconds"
elif [ ! -e "$result" ]; then
    say boot state running seconds "$seconds"
else
    # On some images the log is root's alone.
    last=$({ tail -n 10 "$log" || sudo -n tail -n 10 "$log"; } 2>/dev/null | tail -c 2000)
    say boot state ended seconds "$seconds" result "$(head -c 8000 "$result")" last "$last"
fi
