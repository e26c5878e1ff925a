# unattended-upgrades at its defaults on a practice machine. Usage: sh -c THIS sh FOLDER TREE words…, in a mount namespace of its own,
# with APT_CONFIG naming the machine's configuration. It takes "/" for its system unless it is told another root, as its own tests do;
# only FOLDER can be written, so that whatever it takes for its system, this machine's packages stay as they are.
set -eu
folder=$1
tree=$2
shift 2
mkdir -p "$tree/etc/apt/apt.conf.d" "$tree/usr/bin" "$tree/var/run" "$tree/var/lib/unattended-upgrades" "$tree/var/log/unattended-upgrades"
# With another root it reads the settings there, and looks for dpkg there.
cp "$APT_CONFIG" "$tree/etc/apt/apt.conf.d/50unattended-upgrades"
echo 'Unattended-Upgrade::Origins-Pattern { "origin=*"; };' >>"$tree/etc/apt/apt.conf.d/50unattended-upgrades"
ln -sf /usr/bin/dpkg "$tree/usr/bin/dpkg"

mount --make-rprivate /
mount --bind "$folder" "$folder"
for place in /run /var/log; do mount -t tmpfs none "$place"; done
# Every other disk, wherever it is mounted.
for place in $(awk '{ print $5 }' /proc/self/mountinfo); do
    case $place in
        "$folder" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/* | /var/log) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done
mkdir -p /var/log/unattended-upgrades /var/log/apt
if touch /var/lib/dpkg/status 2>/dev/null; then
    echo "this machine could be changed" >&2
    exit 1
fi
exec /usr/bin/python3 -c '
import sys
tree = sys.argv.pop(1)
name = sys.argv[0] = "/usr/bin/unattended-upgrade"
text, call = open(name).read(), "sys.exit(main(options))"
assert text.count(call) == 1, "unattended-upgrade begins in another way than it did"
text = text.replace(call, "sys.exit(main(options, rootdir=tree))")
exec(compile(text, name, "exec"), {"__name__": "__main__", "__file__": name, "tree": tree})
' "$tree" "$@"
