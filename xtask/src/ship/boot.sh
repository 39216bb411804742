# Boots the Debian root $1 as if it were a machine: `sh boot.sh ROOT GROUP` runs its systemd until somebody kills this process.
#
# It has its own processes, mounts, network (loopback alone), host name and control group GROUP, a folder of the unified hierarchy; of this
# machine it sees the kernel and a few devices. systemd-nspawn would do the same, but not where a machine has the older hierarchies too.
set -eu
echo $$ > "$2/cgroup.procs"
exec unshare --mount --propagation private --pid --fork --kill-child --net --uts --ipc --cgroup sh -eu -c '
root=$1
# A root that is a mount point can be made the root of everybody, and services can have their own views of it.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
# Settings of the kernel are this machine'"'"'s.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
hostname towpath-trial
cd "$root"
pivot_root . mnt
umount -l /mnt
# Clock, modules and bare hardware are this machine'"'"'s as well.
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=towpath-trial \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-mac_admin,-mac_override,-wake_alarm,-block_suspend \
    /sbin/init > /dev/null 2>&1
' sh "$1"
