#!/bin/sh
# A data set with curl: start it, send the file to the object store, complete it, wait for the verdict, filter
# its series by name. Costs two units.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
api=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID
ask() { curl --silent --show-error --fail-with-body --header "X-API-Key: $LUNA_API_KEY" "$@"; }
json="Content-Type: application/json"

file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf 'ts,shop,y\n2024-01-01,a,1\n2024-01-02,a,2\n2024-01-03,a,3\n2024-01-04,a,5\n' > "$file"
size=$(wc -c < "$file" | tr -d ' ')
digest=$(openssl dgst -sha256 -r "$file" | cut -d ' ' -f 1)

started=$(ask "$api/upload/start" --header "$json" --data '{
  "name": "sales", "type": "series",
  "contract": {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]},
  "files": [{"path": "sales.csv", "bytes": '"$size"', "sha256": "'"$digest"'", "media_type": "text/csv"}]}')
dataset_id=$(printf %s "$started" | sed 's/.*"dataset_id":"\([^"]*\)".*/\1/')

# Bytes that the account has are not sent again: then there is no URL.
url=$(printf %s "$started" | sed -n 's/.*"url":"\([^"]*\)".*/\1/p')
if [ -n "$url" ]; then
  checksum=$(openssl dgst -sha256 -binary "$file" | openssl base64)
  curl --silent --show-error --fail-with-body --upload-file "$file" "$url" --header "Content-Type: text/csv" \
    --header "x-amz-checksum-sha256: $checksum" --header "If-None-Match: *"
fi

ask "$api/upload/complete" --header "$json" --data '{"dataset_id": "'"$dataset_id"'"}'
echo
ask "$api/validation/$dataset_id/status" --header "Prefer: wait=25"
echo
ask "$api/kalman/filter" --header "$json" --data '{"model": {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1},
  "observations": {"dataset": "'"$dataset_id"'", "columns": "y"}, "outputs": ["loglike"]}'
echo
