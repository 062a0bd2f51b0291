#!/bin/sh
# Make the password file of our programs from the environment, take what `courtyard devices` wrote about devices, and
# start the broker. What that writes later the broker takes within two seconds: who is revoked is refused, and thrown off.
#
#   COURTYARD_MQTT_INGEST_PASSWORD      required
#   COURTYARD_MQTT_API_PASSWORD         optional; without it the API has no live stream
#   COURTYARD_MQTT_SIMULATORS_PASSWORD  optional; without it the simulators cannot log in
set -eu

run="${RUN:-/run/mosquitto}"
enrolled="${ENROLLED:-/broker}"
passwords="$run/passwords"

fail() {
    echo "mosquitto: $*" >&2
    exit 1
}

add() { # add USER PASSWORD
    case "$2" in
        *:* | *[[:space:]]*) fail "the password of $1 holds a colon or a space" ;;
    esac
    [ "${#2}" -ge 16 ] || fail "the password of $1 is shorter than 16 characters; make one with: openssl rand -hex 24"
    printf '%s:%s\n' "$1" "$2" >>"$passwords"
}

take() { # take over what was written about devices; whether anything of it is new
    new=1
    for each in passwords acl crl; do
        cmp -s "$enrolled/devices.$each" "$run/devices.$each" && continue
        cp "$enrolled/devices.$each" "$run/devices.$each.part" && mv "$run/devices.$each.part" "$run/devices.$each" || return 1
        new=0
    done
    return $new
}

umask 077
: >"$passwords"
# The health check logs in as a user of its own, whose password nobody needs to know.
health=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
add health "$health"
printf '%s' "$health" >"$passwords.health"
[ -n "${COURTYARD_MQTT_INGEST_PASSWORD:-}" ] || fail "COURTYARD_MQTT_INGEST_PASSWORD is not set; see .env.example"
add ingest "$COURTYARD_MQTT_INGEST_PASSWORD"
[ -z "${COURTYARD_MQTT_API_PASSWORD:-}" ] || add api "$COURTYARD_MQTT_API_PASSWORD"
[ -z "${COURTYARD_MQTT_SIMULATORS_PASSWORD:-}" ] || add simulators "$COURTYARD_MQTT_SIMULATORS_PASSWORD"
mosquitto_passwd -U "$passwords" # hashes them in place
unset COURTYARD_MQTT_INGEST_PASSWORD COURTYARD_MQTT_API_PASSWORD COURTYARD_MQTT_SIMULATORS_PASSWORD

for each in passwords acl crl; do
    [ -e "$enrolled/devices.$each" ] || fail "$enrolled/devices.$each is missing; run: python -m courtyard certificates"
    rm -f "$run/devices.$each"
done
take || fail "$enrolled cannot be read"
(
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        ! take || kill -HUP $$
    done
) &
exec "$@"
