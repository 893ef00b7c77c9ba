#!/bin/sh
# Becomes a server whose user `deployer` may come in with the key AUTHORIZED_KEY, and use its engine.
set -eu

# A container has these read-only; its own engine writes there.
for folder in /proc/sys $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts); do
  mount -o remount,bind,rw "$folder"
done
# Version 2 has processes in the leaves only, and ours are at the root.
if [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then
  mkdir /sys/fs/cgroup/server
  xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/server/cgroup.procs || true
  sed 's/ / +/g; s/^/+/' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
fi

mkdir -p /run/sshd
install -d -m 0700 -o deployer -g deployer /home/deployer/.ssh
printf '%s\n' "$AUTHORIZED_KEY" >/home/deployer/.ssh/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key

dockerd &
exec /usr/sbin/sshd -D -e -o PasswordAuthentication=no -o UsePAM=no
