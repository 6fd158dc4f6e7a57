#!/bin/sh
# Starts a VM with the built-in heartbeat guest, replaces its VMM while the guest runs, and shows what the guest
# printed around it. Needs /dev/kvm. Leaves nothing running.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
name=live-update-example-$$

vmm start --name "$name" --guest heartbeat --memory 64M
trap 'vmm quit "$name"' EXIT

vmm migrate --cpr-exec "$name"

echo "The console, from the first tick on:"
vmm console "$name" </dev/null | head -n 5
vmm status "$name"
