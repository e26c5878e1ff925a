# PackageKit beside everything of this machine. Usage: sh -c THIS sh FOLDER pkcon's words, as PID 1 of namespaces of its own, with
# APT_CONFIG naming the practice machine in FOLDER. Signals of the daemon go to the output, all other words to the errors.
# Only FOLDER can be written: whatever the daemon takes for its system, this machine's packages stay as they are.
set -eu
folder=$1
shift
for program in dbus-daemon gdbus pkcon; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done
mount --make-rprivate /
mount --bind "$folder" "$folder"
for place in /run /var/lib/PackageKit /var/cache/PackageKit; do mount -t tmpfs -o mode=755 none "$place"; done
# Every other disk, wherever it is mounted.
for place in $(awk '{ print $5 }' /proc/self/mountinfo); do
    case $place in
        "$folder" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/* | /var/lib/PackageKit | /var/cache/PackageKit) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done
# Whatever went wrong above, it ends here.
[ ! -w /var/lib/dpkg/status ] || { echo "this machine's packages are not protected" >&2; exit 1; }
case $(apt-config shell status Dir::State::status) in
    "status='$folder/"*) ;;
    *) echo "apt is not configured for the practice machine" >&2; exit 1 ;;
esac

cat >/run/bus.conf <<'END'
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/bus</listen>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus
dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile >&2 &
tries=0
until [ -S /run/bus ]; do
    [ $tries -lt 100 ] || { echo "dbus-daemon does not listen" >&2; exit 1; }
    tries=$((tries + 1))
    sleep 0.05
done

program_of() { sed -n 's/^Exec=//p' "/usr/share/dbus-1/system-services/$1.service"; }
start() { # the name on the bus, then further words
    name=$1
    shift
    # The program is named with its own words.
    $(program_of "$name") "$@" >&2 &
    gdbus wait --system --timeout 10 "$name" >&2 || { echo "$name does not come to the bus" >&2; exit 1; }
}
start org.freedesktop.PolicyKit1
start org.freedesktop.PackageKit --keep-environment --disable-timer
gdbus monitor --system --dest org.freedesktop.PackageKit &
sleep 0.5
pkcon --plain --noninteractive "$@" >&2
# The last signals are on their way.
sleep 0.3
