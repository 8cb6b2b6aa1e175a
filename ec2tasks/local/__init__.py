"""The local EC2: everything runs on this machine, with no account, bill or network.

In the order in which they build on each other:

tree          deletes a folder that an instance wrote, whatever its modes
layout        the state folder and its paths
requirements  what this machine needs, in one failure with what to type
images        the Deep Learning images as data
faults        what goes wrong on demand, as one switch
relay         an instance's public address: latency, cut and drop
guestnet      an instance's network: its way out, its interface to the others, sockets made inside it
rootfs        what an instance sees as its file system
userdata      user data as cloud-init reads it: scripts and boothooks
firewall      which packet goes from one instance to another; pure
switch        the process that carries packets between the instances' interfaces
network       who is on that network, told to the switch and to the instances
host          one boot of one instance: files, network, processes, end
metadata      the metadata service at 169.254.169.254
prices        what AWS's Price List and spot prices answer
answers       requests of the API read, errors written
quotas        what Service Quotas answers, and the launches they refuse
launch        what AWS refuses and moto lets pass
signature     whether a request is signed with a key of this account
keys          the keys that the account gives out
lag           what was just made, out of moto's sight for a while
cloud         moto's models of instances and images: only `lag` and `vpc` know their inside too
vpc           what they say of the network: addresses, groups and their rules
phases        what to do with a host, from the state asked for and how far it is; pure
fleet         hosts follow what the account says: observe, decide, act
api           moto's application, with the faults in and the gaps mended
server        the process that serves it all
control       starts, ends and asks that process; light to import
tasks         local.up, local.down, local.status, local.faults

`guest/` holds what runs inside an instance.
"""
