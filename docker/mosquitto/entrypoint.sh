#!/bin/sh
# Make the password file from the environment, then start the broker.
#
#   COURTYARD_MQTT_INGEST_PASSWORD      required
#   COURTYARD_MQTT_API_PASSWORD         optional; without it the API has no live stream
#   COURTYARD_MQTT_SIMULATORS_PASSWORD  optional; without it the simulators cannot log in
#   COURTYARD_MQTT_GATEWAYS             compound:password of each gateway, separated by spaces
set -eu

passwords="${PASSWORDS:-/run/mosquitto/passwords}"

fail() {
    echo "mosquitto: $*" >&2
    exit 1
}

add() { # add USER PASSWORD
    case "$2" in
        *:* | *[[:space:]]*) fail "the password of $1 holds a colon or a space" ;;
    esac
    [ "${#2}" -ge 16 ] || fail "the password of $1 is shorter than 16 characters; make one with: openssl rand -hex 24"
    ! grep -q "^$1:" "$passwords" || fail "user $1 stands twice in COURTYARD_MQTT_GATEWAYS"
    printf '%s:%s\n' "$1" "$2" >>"$passwords"
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
set -f # a password may hold a * that is none
for gateway in ${COURTYARD_MQTT_GATEWAYS:-}; do
    name=${gateway%%:*}
    case "$gateway" in
        *:*) ;;
        *) fail "COURTYARD_MQTT_GATEWAYS: write compound:password, separated by spaces" ;;
    esac
    case "$name" in
        "" | *[!a-z0-9-]*) fail "COURTYARD_MQTT_GATEWAYS: '$name' is no id of a compound" ;;
    esac
    add "$name" "${gateway#*:}"
done

mosquitto_passwd -U "$passwords" # hashes them in place
unset COURTYARD_MQTT_INGEST_PASSWORD COURTYARD_MQTT_API_PASSWORD COURTYARD_MQTT_SIMULATORS_PASSWORD COURTYARD_MQTT_GATEWAYS
exec "$@"
