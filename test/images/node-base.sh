#!/bin/sh
# Makes a base image for deploy/docker/Dockerfile out of Debian's packages and a Node that is here, where none can be
# pulled: node-base.sh <image> <path of node> <folder of the npm package>. Needs root and debootstrap.
set -eu
image=$1 node=$2 npm=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates trixie "$root/image" >&2
cd "$root/image"
mkdir -p usr/local/lib/node_modules
cp "$node" usr/local/bin/node
cp -RL "$npm" usr/local/lib/node_modules/npm
ln -s ../lib/node_modules/npm/bin/npm-cli.js usr/local/bin/npm
# Whom this machine trusts, as a registry's mirror may be one's own.
cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-certificates.crt
rm -rf var/cache/apt var/lib/apt/lists
tar -c . | docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
  - "$image"
