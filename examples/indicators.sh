#!/bin/sh
# Indicators with curl: the catalogue, one indicator, several of two instruments in one call, one of your own, and one
# of bars that you send. Costs seven units.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
api=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID
ask() { curl --silent --show-error --fail-with-body --header "X-API-Key: $LUNA_API_KEY" "$@"; }
json="Content-Type: application/json"

ask "$api/indicators"
echo

# A value does not depend on where the window starts: it is computed from the first bar of history on.
ask "$api/indicators/rsi?symbol=AAPL&period=14&start=2013-02-25"
echo

ask "$api/indicators" --header "$json" --data '{
  "symbols": ["AAPL", "MSFT"], "start": "2013-02-25",
  "indicators": [{"id": "fast", "name": "ema", "params": {"period": 12}}, {"name": "macd"}]}'
echo

# An expression over columns and indicators; `custom:` names it in calls.
ask --request PUT "$api/indicators/custom/spread" --header "$json" \
  --data '{"expression": "(ema(close, 12) - ema(close, 26)) / atr(14)"}'
echo
ask "$api/indicators/custom:spread?symbol=AAPL&start=2013-02-25" --header "Accept: text/csv"

ask "$api/indicators" --header "$json" --data '{
  "bars": {"timestamp": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"], "close": [10, 11, null, 13]},
  "indicators": [{"name": "sma", "params": {"period": 2}}]}'
echo
