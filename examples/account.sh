#!/bin/sh
# The own account with curl: its quota, and its usage of the last 30 days as CSV. Neither call costs a unit.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
account=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID

curl --silent --show-error --fail-with-body "$account" --header "X-API-Key: $LUNA_API_KEY"
echo
curl --silent --show-error --fail-with-body "$account/usage?step=day" \
  --header "X-API-Key: $LUNA_API_KEY" --header "Accept: text/csv"
