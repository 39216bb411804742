# Tries the package /srv/towpath.deb on a fresh Debian that runs: what the chapter /srv/install.md says, line by line, and what it promises.
#
# What always holds: the first thing that is not as it should be ends it, with its line; every line of the chapter is run here as it stands
# there. The last line says how many checks there were.
set -eu
cd /srv
checks=0
tried=/tmp/tried
: > $tried

fail() {
    echo "not as promised: $*" >&2
    systemctl status --no-pager --lines=0 towpath >&2 || true
    journalctl --no-pager --lines=20 --unit towpath >&2 || true
    exit 1
}

# A promise, and a command that says whether it is kept.
check() {
    promise=$1
    shift
    "$@" > /tmp/told 2>&1 || { tail -n 30 /tmp/told >&2; fail "$promise"; }
    # What it said stays to be looked at until another says something.
    [ ! -s /tmp/told ] || mv /tmp/told /tmp/said
    checks=$((checks + 1))
    echo "  ok: $promise"
}

# A line of the chapter, run as whom its prompt says.
line() {
    grep -qxF -e "$1" install.md || fail "the chapter has no line '$1'"
    echo "$1" >> $tried
    case $1 in
    '# '*) check "$1" sh -euc "${1#??}" ;;
    '$ '*) check "$1" su guest -s /bin/sh -c "${1#??}" ;;
    *) fail "'$1' has no prompt" ;;
    esac
}

not() { ! "$@"; }
said() { grep -q -e "$1" /tmp/said; }
logged() { journalctl --no-pager --unit towpath | grep -q -e "$1"; }
answers() { curl --fail --silent --show-error --max-time 10 "$@"; }

# Within half a minute, by trying again: how fast this machine is does not matter.
soon() {
    tries=300
    until "$@" 2> /dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

ready() { soon answers "http://$1:7070/readyz"; }
pid() { systemctl show --property MainPID --value towpath; }
property() { [ "$(systemctl show --property "$1" --value towpath)" = "$2" ]; }
# Whether a ride is known to the table of lives.
knows() { towpath machine ls --limit 10000 --data /var/lib/towpath | grep -qw -e "$1"; }
ride() { answers -o /dev/null --write-out '%{http_code}\n' -d "{\"id\": \"$1\", \"at\": [40.76, -73.98]}" "http://$2:8080/rides"; }

useradd --create-home guest
find / -xdev | sort > /tmp/before

echo 'installing'
line '# apt-get install ./towpath.deb'
line '$ towpath --version'
line '$ man towpath'
check 'the manual names every command' said 'TOWPATH DOCTOR'
check 'dpkg finds nothing changed' dpkg --verify towpath
check 'nothing runs yet' not systemctl is-active towpath
check 'nor will it at the next boot' not systemctl is-enabled towpath
check 'bash completes' bash -c 'source /usr/share/bash-completion/completions/towpath && complete -p towpath'
check 'the unit is well formed' systemd-analyze verify towpath.service
check 'data are for the service alone' [ "$(stat --format '%U:%G %a' /var/lib/towpath)" = 'towpath:towpath 700' ]
check 'the bill of materials is there' gzip -cdf /usr/share/doc/towpath/towpath.cdx.json*
line '$ towpath check /etc/towpath/networks/rides.yaml'
line '$ towpath test /etc/towpath/networks/rides.yaml'
line '# runuser -u towpath -- towpath doctor --data /var/lib/towpath'

echo 'running'
line '# systemctl enable --now towpath'
check 'it gets ready' ready 127.0.0.1
line '$ systemctl status towpath'
check 'it runs as its own user' [ "$(stat --format %U "/proc/$(pid)")" = towpath ]
check 'it can get no more rights' grep -qx 'CapBnd:.0000000000000000' "/proc/$(pid)/status"
line "\$ curl -d '{\"id\": \"a1\", \"at\": [40.76, -73.98]}' http://127.0.0.1:8080/rides"
check 'the ride is known' soon knows a1
line '# towpath ps --data /var/lib/towpath'
check 'the processes are those of the file' said dispatch
line '# towpath machine ls --data /var/lib/towpath'
line '# journalctl -u towpath'
check 'the token is not in the log' not said token=
line '# cat /var/lib/towpath/towpath.url'
token=$(sed 's/.*#token=//' /var/lib/towpath/towpath.url)
check 'the address has a token that opens' answers -o /dev/null -H "Authorization: Bearer $token" http://127.0.0.1:7070/api/v1/state
check 'without it nothing opens' not answers -o /dev/null http://127.0.0.1:7070/api/v1/state
check 'the dashboard comes' answers http://127.0.0.1:7070/
check 'it is a page' said '<html'
check 'a guest sees no data' su guest -s /bin/sh -c '! ls /var/lib/towpath 2> /dev/null'

echo 'changing'
sed -i 's/per_second: "2000"/per_second: "1500"/' /etc/towpath/networks/rides.yaml
line '# towpath reload --plan --data /var/lib/towpath'
check 'the plan names the change' said flow
line '# systemctl reload towpath'
check 'the journal says what became of it' logged 'changed process flow'
check 'nothing is left to change' towpath reload --plan --data /var/lib/towpath
check 'it is in force' not said flow
sed -i 's/uses: limit/uses: limits/' /etc/towpath/networks/rides.yaml
check 'what is wrong is refused' not systemctl reload towpath
check 'it runs as before' ready 127.0.0.1
sed -i 's/uses: limits/uses: limit/' /etc/towpath/networks/rides.yaml

echo 'crashing'
check 'a ride is taken' ride b1 127.0.0.1
old=$(pid)
kill -KILL "$old"
check 'it is started again' soon sh -c "! [ \"\$(systemctl show --property MainPID --value towpath)\" -eq $old ] && systemctl is-active --quiet towpath"
check 'it gets ready again' ready 127.0.0.1
check 'the ride that was answered is known' soon knows b1

echo 'stopping'
line '# systemctl stop towpath'
check 'it ended by itself, and well' property ExecMainStatus 0
check 'systemd agrees' property Result success
check 'the log says that it finished its work' logged 'finishing what has begun'
check 'nobody listens' not answers http://127.0.0.1:7070/readyz
line '# systemctl start towpath'
check 'it gets ready with its journals' ready 127.0.0.1
check 'the rides are still known' soon knows a1

echo 'upgrading'
old=$(pid)
line '# apt-get install --reinstall ./towpath.deb'
check 'it runs' ready 127.0.0.1
check 'it is the new one' [ "$(pid)" != "$old" ]
check 'the old one ended well' not logged "Main process exited, code=exited, status=1"
check 'the changed file is still ours' grep -q 'per_second: "1500"' /etc/towpath/networks/rides.yaml
check 'it is still enabled' systemctl is-enabled towpath
check 'the rides are known after it' soon knows a1

echo 'as in a pod'
systemctl stop towpath
# What the manifest mounts, in a root that cannot be written, as the user and with the rights that it says, at an address that others reach.
ip address add 192.0.2.7/32 dev lo
mkdir /etc/towpath-token
arguments=$(sed -n 's/^ *args: \[\(.*\)\]$/\1/p' towpath.yaml | tr -d '",')
unshare --mount sh -euc '
    for place in /etc/towpath /etc/towpath-token /var/lib/towpath; do mount -t tmpfs tmpfs $place; done
    mkdir /etc/towpath/machines
    cp /srv/rides.yaml /etc/towpath/
    cp /srv/ride.yaml /etc/towpath/machines/
    echo 0123456789abcdef0123456789abcdef > /etc/towpath-token/token
    # As fsGroup makes a volume.
    chown root:10001 /var/lib/towpath
    chmod 2775 /var/lib/towpath
    for place in / /tmp /run /dev/shm /etc/towpath /etc/towpath-token; do mount -o remount,bind,ro $place; done
    exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all towpath "$@"
' sh $arguments > /tmp/pod.log 2>&1 &
pod=$!
check 'it gets ready where the probe asks' ready 192.0.2.7
check 'it is alive where the probe asks' answers http://192.0.2.7:7070/healthz
check 'it takes rides from others' ride c1 192.0.2.7
check 'metrics are for the token' answers -H 'Authorization: Bearer 0123456789abcdef0123456789abcdef' http://192.0.2.7:7070/metrics
check 'they are metrics' said towpath_channel_capacity
check 'others get none' not answers http://192.0.2.7:7070/metrics
kill -TERM $pod
check 'it ends well' wait $pod
rmdir /etc/towpath-token

echo 'removing'
systemctl start towpath
check 'it runs' ready 127.0.0.1
line '# apt-get remove towpath'
check 'it was stopped' not systemctl is-active towpath
check 'nobody listens any more' not answers http://127.0.0.1:7070/readyz
check 'the program is gone' not test -e /usr/bin/towpath
check 'data stay' test -d /var/lib/towpath/rides
check 'what was changed stays' grep -q 'per_second: "1500"' /etc/towpath/networks/rides.yaml
apt-get install -y ./towpath.deb > /tmp/said 2>&1 || fail 'it can be installed again'
systemctl start towpath
check 'installed again it finds its data' ready 127.0.0.1
check 'and its rides' soon knows a1
line '# apt-get purge towpath'
check 'data are gone' not test -e /var/lib/towpath
check 'the user is gone' not getent passwd towpath
check 'its group too' not getent group towpath
# Logs and caches are the system's own.
find / -xdev | sort | comm -13 /tmp/before - | grep -v -e '^/var/log/' -e '^/var/cache/' -e '^/var/lib/\(dpkg\|apt\|systemd\)/' -e '^/srv/' -e '^/etc/\(passwd\|shadow\|group\|gshadow\|subuid\|subgid\)-$' > /tmp/left || true
check 'nothing is left of it' not grep -H '' /tmp/left

sed -n '/^```console$/,/^```$/{/^[#$] /p}' install.md | sort -u > /tmp/lines
sort -u $tried | comm -23 /tmp/lines - > /tmp/untried
check 'every line of the chapter was tried' not grep -H '' /tmp/untried
echo "the package keeps its promises: $checks checks, among them all $(wc -l < /tmp/lines) lines of the chapter: installed, run, changed, crashed, stopped, upgraded, run as in a pod, removed and purged"
