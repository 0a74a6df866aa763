#!/usr/bin/env bash
# One machine: an own name, an own /tmp and its cluster's home folder, until this process is killed.
# Usage, in new mount and name spaces: machine.sh NAME ROOT [HOME-FOLDER KEEP...]
# Without a home folder it shares all files, and only its name is its own.
# KEEP are folders that must stay visible, for any user, though they may lie below /tmp or below a closed home folder.
set -euo pipefail
name=$1 root=$2 home=${3:-}
shift $(($# < 3 ? $# : 3))
own="$root/machines/$name"

hold() { # write the id last: whoever waits for it finds the machine complete
    echo $$ >"$own/draft"
    mv "$own/draft" "$own/holder"
    exec sleep infinity
}

closed_above() { # the folders above FOLDER that other users may not pass
    local folder=$1
    while [ "$folder" != / ]; do
        folder=$(dirname "$folder")
        [ -n "$(find "$folder" -maxdepth 0 -perm -o+x)" ] || echo "$folder"
    done
}

hostname "$name"
mkdir -p "$own"/{kept,tmp,run/sshd}
[ -n "$home" ] || hold
chmod 1777 "$own/tmp"
chmod 755 "$own/run/sshd"

closed=$(for folder in "$@"; do closed_above "$folder"; done | sort -u)
for folder in "$@"; do
    mkdir -p "$own/kept$folder"
    mount --rbind "$folder" "$own/kept$folder"
done
mount --bind "$own/tmp" /tmp
for folder in $closed; do mount -t tmpfs -o mode=755,size=1m tmpfs "$folder"; done
for folder in "$@"; do
    mkdir -p "$folder"
    mount --rbind "$own/kept$folder" "$folder"
done
if [[ $name == *-login ]]; then mount --bind "$own/run" /run; fi # sshd wants a folder there
mount --bind "$home" "$root/home"
hold
