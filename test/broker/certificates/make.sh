#!/bin/sh
# Makes the certificates of these tests again: an authority, the broker's own, a device's, and one of the same name that
# a stranger signed. They guard nothing but the tests, and are valid from 2020 to 2120, whatever the clock says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >ca.conf <<'CONF'
[ca]
default_ca = any
[any]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any_name
[any_name]
commonName = supplied
[authority]
basicConstraints = critical,CA:true
[broker]
subjectAltName = DNS:localhost,IP:127.0.0.1
[device]
extendedKeyUsage = clientAuth
CONF
printf 'unique_subject = no\n' >index.attr
: >index

certificate() { # name, subject, extensions, signer
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
  signer=$4
  [ "$signer" = "$1" ] && sign="-selfsign -keyfile $1.key" || sign="-cert $signer.pem -keyfile $signer.key"
  # shellcheck disable=SC2086
  openssl ca -batch -config ca.conf -notext -preserveDN -startdate 20200101000000Z -enddate 21200101000000Z \
    -extensions "$3" -in "$1.csr" -out "$1.pem" $sign
}

certificate authority /CN=authority authority authority
certificate stranger /CN=stranger authority stranger
certificate broker /CN=localhost broker authority
certificate device '/CN=JKT-01\/POS-1' device authority
certificate forged '/CN=JKT-01\/POS-1' device stranger
cp authority.pem broker.pem broker.key device.pem device.key forged.pem forged.key "$here"
