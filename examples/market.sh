#!/bin/sh
# Prices with curl: which instruments there are, one with its splits and dividends, closes around a split as they were
# traded and adjusted, the last bars of two instruments as CSV. Costs five units.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
api=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID
ask() { curl --silent --show-error --fail-with-body --header "X-API-Key: $LUNA_API_KEY" "$@"; }

ask "$api/symbols?exchange=NASDAQ&limit=10"
echo
ask "$api/symbols/AAPL"
echo

# Apple split its shares 2 for 1 on 2005-02-28. Only the traded close halves on that day.
for adjust in none splits all; do
  ask "$api/prices?symbols=AAPL&start=2005-02-25&end=2005-02-28&adjust=$adjust"
  echo
done

ask --header "Accept: text/csv" "$api/prices?symbols=AAPL,MSFT&order=desc&limit=3"
