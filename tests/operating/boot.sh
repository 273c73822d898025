#!/usr/bin/env bash
# Boots a systemd of its own over a copy-on-write view of this system, which is not touched: own
# processes, network, mounts and control groups. What it changes is in memory and gone with it.
#
#   boot.sh FOLDER [FILE...]    the files are in its /srv
#
# Ends with 77 where that is not allowed.
set -eu
folder=$1
case ${2:-} in
--inside) ;;
*)
  # A control group for it: in one tree (version 2), or in each of several (version 1), of which
  # some take nobody without more ado.
  for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$root/cgroup.procs" ] || continue
    mkdir "$root/tidings-$$" || exit 77
    echo 0 2>/dev/null > "$root/tidings-$$/cgroup.procs" || rmdir "$root/tidings-$$"
    [ "$root" != /sys/fs/cgroup ] || break
  done
  shift
  exec unshare --mount --pid --fork --uts --ipc --net --cgroup --kill-child=KILL \
    "$0" "$folder" --inside "$@" || exit 77
  ;;
esac
shift 2

{
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$folder"
  mkdir "$folder/upper" "$folder/work" "$folder/root"
  mount -t overlay overlay "$folder/root" \
    -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work"
  root=$folder/root
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    grep -q "^0::/$" /proc/self/cgroup
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  fi
  for place in run tmp var/tmp dev; do mount -t tmpfs tmpfs "$root/$place"; done
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  mount -t tmpfs tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  ip link set lo up
  [ $# = 0 ] || cp "$@" "$root/srv/"
  # In images of containers this keeps packages from starting anything.
  rm -f "$root/usr/sbin/policy-rc.d"
  # Nothing of what else is installed here is started.
  printf '[Unit]\nDefaultDependencies=no\n' > "$root/etc/systemd/system/bare.target"
  mkdir "$root/old"
  cd "$root"
  pivot_root . old
  umount --lazy /old
} || exit 77
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
  /lib/systemd/systemd --system --unit=bare.target --log-target=null
