# Arms the guard, at each boot and before anyone gets in: the end of the part that cloud-init runs first of all.
# Before it stand the functions guard_text, unit_text and settings_text, which print the files that it writes.
set -u
umask 022
here=/run/ec2tasks-guard
mkdir -p "$here"

# The disk of a real machine; where that is not ours to write, cloud-init's own folder.
for folder in /var/lib/ec2tasks-guard /var/lib/cloud/ec2tasks-guard; do
    mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] && break
done

put() { # put FILE: written where it differs, whole or not at all
    cat >"$here/new" && { cmp -s "$here/new" "$1" || { cp "$here/new" "$1.new" && mv -f "$1.new" "$1"; }; }
} 2>/dev/null

# A connection whose client is gone must not look like somebody for long.
watch_clients() {
    local file=/etc/ssh/sshd_config.d/10-ec2tasks.conf
    [ -w "${file%/*}" ] || return 0
    printf 'ClientAliveInterval 15\nClientAliveCountMax 3\n' | put "$file"
    for unit in ssh sshd; do systemctl is-active -q $unit && systemctl reload --no-block $unit; done
}

guard_text | put "$folder/guard.sh"
settings_text | put "$folder/settings"
if [ -d /run/systemd/system ]; then
    # The unit is there after a restart even where user data is not run again.
    unit_text | put /etc/systemd/system/ec2tasks-guard.service
    systemctl daemon-reload
    systemctl enable -q ec2tasks-guard.service
    systemctl start --no-block ec2tasks-guard.service
    watch_clients
else
    # The local EC2 alone has no systemd; its console is where this prints.
    # shellcheck disable=SC2016  # the inner shell expands it
    setsid bash -c 'while :; do bash "$0/guard.sh" "$0"; sleep 1; done' "$folder" </dev/null >&2 &
fi
for _ in {1..100}; do
    [ -e "$here/state" ] && break
    sleep 0.1
done
