#!/bin/sh
# image.sh FOLDER: a Debian with cloud-init, systemd and sshd, and its kernel, as FOLDER/disk.img and FOLDER/vmlinuz.
# Built once; as root or with sudo, as mmdebstrap needs it here.
# shellcheck disable=SC2016  # the hooks expand their own $1
set -eu
folder=$1
suite=bookworm
packages=linux-image-cloud-amd64,systemd-sysv,libpam-systemd,dbus,udev,cloud-init,openssh-server,rsync,procps,iproute2,sudo,ca-certificates

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" || sudo "$@"; fi
}

missing=
for pair in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mkfs.ext4:e2fsprogs; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    echo "test-vm: installing$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
[ ! -e "$folder/disk.img" ] || [ "$(cat "$folder/packages" 2>/dev/null)" != "$suite $packages" ] || exit 0

echo "test-vm: building the machine's disk in $folder (some minutes, once)"
mkdir -p "$folder"
tree=$(mktemp -d)
trap 'as_root rm -rf "$tree"' EXIT
as_root mmdebstrap --quiet --variant=minbase --include="$packages" \
    --customize-hook='echo ec2-guest >"$1/etc/hostname"' \
    --customize-hook='echo "/dev/nvme0n1 / ext4 defaults 0 1" >"$1/etc/fstab"' \
    --customize-hook='printf "[Unit]\nDefaultDependencies=no\nAfter=cloud-init.service\nBefore=ssh.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c \"ip addr replace 169.254.10.15/16 dev ens3; ip link set ens3 up\"\n[Install]\nWantedBy=multi-user.target\n" >"$1/etc/systemd/system/lan.service"' \
    --customize-hook='systemctl --root="$1" enable lan.service' \
    --customize-hook='printf "datasource_list: [ Ec2 ]\ndatasource: {Ec2: {strict_id: false, max_wait: 60, timeout: 10}}\nnetwork: {config: disabled}\n" >"$1/etc/cloud/cloud.cfg.d/90_ec2.cfg"' \
    --customize-hook='printf "system_info: {default_user: {name: ubuntu, lock_passwd: true, shell: /bin/bash, sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]}}\nssh_genkeytypes: [ed25519]\ncloud_init_modules: [users-groups, ssh]\ncloud_config_modules: []\ncloud_final_modules: [scripts-user, final-message]\n" >"$1/etc/cloud/cloud.cfg.d/91_short.cfg"' \
    --customize-hook='systemctl --root="$1" mask apt-daily.timer apt-daily-upgrade.timer' \
    "$suite" "$tree/root"
as_root cp "$tree"/root/boot/vmlinuz-* "$folder/vmlinuz"
as_root truncate -s 1200M "$folder/disk.part"
as_root env PATH="$PATH:/usr/sbin" mkfs.ext4 -q -d "$tree/root" "$folder/disk.part"
as_root chmod 644 "$folder/vmlinuz" "$folder/disk.part"
as_root chown "$(id -u):$(id -g)" "$folder" "$folder/vmlinuz" "$folder/disk.part"
mv "$folder/disk.part" "$folder/disk.img"
echo "$suite $packages" >"$folder/packages"
