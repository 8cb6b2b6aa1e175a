"""The local EC2: everything runs on this machine, with no account, bill or network."""
