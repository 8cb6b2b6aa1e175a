# relay.sh PORT: one connection of the machine's, to that port of this one's loopback.
exec 3<>"/dev/tcp/127.0.0.1/$1"
cat <&3 &
cat >&3
wait
