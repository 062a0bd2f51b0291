#!/bin/sh
# Healthy is a broker that lets a user log in and delivers a message. The password goes by a file: arguments are public.
set -eu
umask 077
passwords="${PASSWORDS:-/run/mosquitto/passwords}"
export XDG_CONFIG_HOME="$passwords.client"
mkdir -p "$XDG_CONFIG_HOME"
printf -- '-u health\n-P %s\n' "$(cat "$passwords.health")" >"$XDG_CONFIG_HOME/mosquitto_sub"
exec mosquitto_sub -h 127.0.0.1 -p "${PORT:-1883}" -t '$SYS/broker/uptime' -C 1 -W 5
