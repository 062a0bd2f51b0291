#!/bin/sh
# Healthy is a broker that lets a user log in and delivers a message. The password goes by a file: arguments are public.
set -eu
umask 077
passwords="${RUN:-/run/mosquitto}/passwords"
export XDG_CONFIG_HOME="$passwords.client"
mkdir -p "$XDG_CONFIG_HOME"
printf -- '-u health\n-P %s\n' "$(cat "$passwords.health")" >"$XDG_CONFIG_HOME/mosquitto_sub"
exec mosquitto_sub -h localhost -p "${PORT:-8882}" --cafile "${CA:-/tls/ca.crt}" -t '$SYS/broker/uptime' -C 1 -W 5
