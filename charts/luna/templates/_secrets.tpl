{{/* The Secrets, and the environment variables that come from them. */}}

{{- define "luna.databaseSecret" -}}
{{- default (printf "%s-database" (include "luna.fullname" .)) .Values.database.existingSecret -}}
{{- end -}}

{{- define "luna.redisSecret" -}}
{{- default (printf "%s-redis" (include "luna.fullname" .)) .Values.redis.existingSecret -}}
{{- end -}}

{{- define "luna.peppersSecret" -}}
{{- default (printf "%s-peppers" (include "luna.fullname" .)) .Values.peppers.existingSecret -}}
{{- end -}}

{{- define "luna.databaseEnv" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "luna.databaseSecret" . }}
      key: {{ ternary .Values.database.existingSecretKey "DATABASE_URL" (not (empty .Values.database.existingSecret)) }}
{{- end -}}

{{- define "luna.secretsEnv" -}}
{{ include "luna.databaseEnv" . }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "luna.redisSecret" . }}
      key: {{ ternary .Values.redis.existingSecretKey "REDIS_URL" (not (empty .Values.redis.existingSecret)) }}
- name: LUNA_PEPPERS
  valueFrom:
    secretKeyRef:
      name: {{ include "luna.peppersSecret" . }}
      key: {{ ternary .Values.peppers.existingSecretKey "LUNA_PEPPERS" (not (empty .Values.peppers.existingSecret)) }}
{{- end -}}

{{/*
A value that is made once: what the cluster's Secret holds under the key, else 32 random characters (190 bits). Takes
(list $ "secret's name" "key"). `helm template` sees no cluster and makes a new one each time; see NOTES.txt.
*/}}
{{- define "luna.kept" -}}
{{- $root := first . -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $kept := get (default dict (default dict $secret).data) (last .) -}}
{{- if $kept }}{{ b64dec $kept }}{{ else }}{{ randAlphaNum 32 }}{{ end -}}
{{- end -}}
