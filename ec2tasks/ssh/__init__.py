"""The way onto an instance: host keys, keys, the connection, ports, what the image lacks."""
