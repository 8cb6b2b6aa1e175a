"""SSH to the instance: how to reach it, host keys, connections, the keys offered, packages, forwarded ports.

Start with `host.Host`, which ssh, rsync and Fabric take their options from, `host.ssh_argv`, which runs a
command on it, and `connect.wait_ready`, which waits until it answers after a boot.
"""
