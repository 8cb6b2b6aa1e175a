# Tells how this instance stands: the lines of its guard's state, as old as its last look, then `in_use yes` or
# `in_use no`, as it is at this moment.
set -u
home=$HOME/.ec2tasks
cat /run/ec2tasks-guard/state || exit

# Sessions and commands hold the lock, shared. As whoever decides by it, the guard too, this holds the folder's
# meanwhile, so that the try is taken by none of them for somebody.
in_use=no
if [ -f "$home/sessions.lock" ]; then
    timeout 5 flock --timeout 4 "$home" flock --exclusive --nonblock "$home/sessions.lock" true || in_use=yes
fi
printf 'in_use %s\n' "$in_use"
