#!/bin/sh
# A rule with curl: send a sample, create a rule, see it fire, delete it.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
account=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID
call() { curl --silent --show-error --fail-with-body --header "X-API-Key: $LUNA_API_KEY" "$@"; }

call "$account/metrics/ingest" --header "Content-Type: application/json" \
  --data '{"name": "oven_celsius", "value": 231, "labels": {"oven": "left"}}'
echo
rule=$(call "$account/alerts/rules" --header "Content-Type: application/json" --data '{
  "name": "oven too hot", "metric": "oven_celsius", "condition": ">", "threshold": 220, "severity": "warning",
  "interval": "1s", "annotations": {"summary": "The {{ $labels.oven }} oven is at {{ $value }} degrees."}
}' | sed 's/^{"id":"\([^"]*\)".*/\1/')
sleep 4
call "$account/alerts/active?rule_id=$rule"
echo
call --request DELETE "$account/alerts/rules/$rule"
call "$account/alerts/history?rule_id=$rule"
echo
