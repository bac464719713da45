#!/bin/sh
# A person with curl: sign in, see who calls, sign out. Costs no unit.
# Reads LUNA_URL, LUNA_EMAIL and LUNA_PASSWORD from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_PASSWORD:-}" ] || . ./.luna/env
auth=$LUNA_URL/api/v1/auth
json="Content-Type: application/json"
ask() { curl --silent --show-error --fail-with-body "$@"; }

# The password on standard input, so that `ps` does not show it.
session=$(printf '{"email": "%s", "password": "%s"}' "$LUNA_EMAIL" "$LUNA_PASSWORD" |
  ask "$auth/login" --header "$json" --data @-)
access_token=$(printf %s "$session" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
refresh_token=$(printf %s "$session" | sed 's/.*"refresh_token":"\([^"]*\)".*/\1/')

ask "$auth/me" --header "Authorization: Bearer $access_token"
echo
printf '{"refresh_token": "%s"}' "$refresh_token" | ask "$auth/logout" --header "$json" --data @-
