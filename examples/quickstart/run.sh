#!/bin/sh
# From nothing to a gateway with its secrets: an encrypted store, two secrets in it, and a gateway-like program that starts
# with them. `make quickstart` builds the binaries and runs this; nothing stays behind.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../../bin" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }

# A real installation has the plugins in a folder of its own, which keyway.yaml names.
export KEYWAY_PLUGIN_DIR="$bin"
cp "$here/keyway.yaml" "$here/config.yaml" "$work"
(cd "$here/../.." && go build -o "$work/gateway" ./examples/quickstart/child)
cd "$work"

step "1. A fresh key, and the configuration that uses it"
(umask 077 && head -c 32 /dev/urandom | base64 >store.key)
"$bin/keyway" config check

step "2. Two secrets, through standard input"
# These stand for real ones, which come from wherever you keep them now: keyway put secrets NAME <file
printf 'sk-%s' "$(head -c 24 /dev/urandom | base64 | tr -d '/+=')" | "$bin/keyway" put secrets OPENAI_API_KEY
printf 'sk-%s' "$(head -c 24 /dev/urandom | base64 | tr -d '/+=')" | "$bin/keyway" put secrets LITELLM_MASTER_KEY
"$bin/keyway" list secrets

step "3. keyway run --litellm config.yaml -- gateway {config}"
"$bin/keyway" run --verbose --litellm config.yaml -- ./gateway '{config}'

step "Done. The same with LiteLLM itself:"
echo "keyway run --litellm config.yaml -- litellm --config {config}"
