#!/bin/sh
# Makes what compose.yaml needs in ./secrets, once: the gateway's keys, the database's password, a small certificate
# authority for the database, and a certificate for nginx that a browser will not trust until you put yours there.
#
#     sh secrets.sh consent.example.org        as root, so that each file gets the owner who reads it
#
# AVAL_PYTHON names a Python that has Aval; else the keys are made in the image `aval`.
set -eu
umask 077
host=${1:?the public host name, such as consent.example.org}
cd "$(dirname "$0")"
[ ! -e secrets ] || { echo "secrets/ is there already; nothing was made" >&2; exit 1; }
made=secrets.new
rm -rf "$made"
mkdir -p "$made/keys"

make_keys='import sys; from pathlib import Path; from gateway.ground.keys import KeyRing; KeyRing(Path(sys.argv[1]), create=True)'
if [ -n "${AVAL_PYTHON:-}" ]; then
  "$AVAL_PYTHON" -c "$make_keys" "$made/keys"
else
  [ "$(id -u)" != 0 ] || chown 10001:10001 "$made/keys"
  docker run --rm --network none --read-only --entrypoint python3 --volume "$PWD/$made/keys:/keys" aval -c "$make_keys" /keys
fi

certificate() { # name of the files, host
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$made/$1.key" -out "$made/$1.csr" 2>/dev/null
  printf 'subjectAltName=DNS:%s\n' "$2" > "$made/$1.ext"
  openssl x509 -req -in "$made/$1.csr" -CA "$made/ca.pem" -CAkey "$made/ca.key" -CAcreateserial -days 825 \
    -extfile "$made/$1.ext" -out "$made/$1.pem" 2>/dev/null
  rm "$made/$1.csr" "$made/$1.ext"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Aval, this machine" -days 3650 \
  -keyout "$made/ca.key" -out "$made/ca.pem" 2>/dev/null
certificate database database
certificate tls "$host"
rm "$made/ca.key" "$made/ca.srl" # nothing else will be signed by it

openssl rand -hex 32 | tr -d '\n' > "$made/database-password"
cp "$made/database-password" "$made/database-password-server"

chmod 0644 "$made/ca.pem" "$made/database.pem" "$made/tls.pem"
if [ "$(id -u)" = 0 ]; then
  chown -R 10001:10001 "$made/keys" "$made/database-password"
  chown 999:999 "$made/database.key" "$made/database-password-server"
  chown 101:101 "$made/tls.key"
  chmod 0711 "$made"
else
  echo "not root: give keys/ and database-password to 10001, database.key and database-password-server to 999, tls.key to 101" >&2
fi
mv "$made" secrets
echo "secrets/ is made. Copy secrets/keys to a safe place apart from every backup of the database: without it the data cannot be read"
