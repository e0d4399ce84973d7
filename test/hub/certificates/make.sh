#!/bin/sh
# A certificate whose time is over: valid on the first two days of 2020, as `openssl ca` alone can say.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index.txt"
echo 01 > "$work/serial"
cat > "$work/ca.cnf" <<'CONFIG'
[ca]
default_ca = own
[own]
database = $ENV::WORK/index.txt
serial = $ENV::WORK/serial
new_certs_dir = $ENV::WORK
default_md = sha256
policy = any
[any]
commonName = supplied
CONFIG
openssl ecparam -name prime256v1 -genkey -noout -out expired.key
openssl req -new -key expired.key -subj '/CN=expired hub' -out "$work/request.pem"
WORK="$work" openssl ca -batch -notext -config "$work/ca.cnf" -selfsign -keyfile expired.key -in "$work/request.pem" \
  -startdate 20200101000000Z -enddate 20200102000000Z -out expired.pem
