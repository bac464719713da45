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

{{- define "luna.objectsSecret" -}}
{{- default (printf "%s-objects" (include "luna.fullname" .)) .Values.objects.existingSecret -}}
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

{{/* The object store, for serving alone; nothing without one. */}}
{{- define "luna.objectsEnv" -}}
{{- $objects := .Values.objects -}}
{{- $own := not (empty $objects.existingSecret) -}}
{{- if or .Values.seaweedfs.enabled $objects.endpoint -}}
- {name: S3_ENDPOINT, value: {{ $objects.endpoint | default (printf "http://%s-seaweedfs:8333" (include "luna.fullname" .)) | quote }}}
{{- with $objects.publicEndpoint }}
- {name: S3_PUBLIC_ENDPOINT, value: {{ . | quote }}}
{{- end }}
- {name: S3_BUCKET, value: {{ $objects.bucket | quote }}}
- {name: S3_REGION, value: {{ $objects.region | quote }}}
- name: S3_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ include "luna.objectsSecret" . }}
      key: {{ ternary $objects.accessKeyIdKey "S3_ACCESS_KEY_ID" $own }}
- name: S3_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "luna.objectsSecret" . }}
      key: {{ ternary $objects.secretAccessKeyKey "S3_SECRET_ACCESS_KEY" $own }}
{{- end -}}
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

{{/* SeaweedFS's security.toml: signed requests over HTTP, mutual TLS over gRPC. */}}
{{- define "luna.seaweedfsSecurity" -}}
{{- range list "jwt.signing" "jwt.signing.read" "jwt.filer_signing" "jwt.filer_signing.read" }}
[{{ . }}]
key = "{{ randAlphaNum 64 }}"
expires_after_seconds = 60
{{- end }}
[grpc]
ca = "/etc/seaweedfs/ca.pem"
{{- range list "master" "volume" "filer" "s3" "admin" "worker" "msg_broker" "msg_agent" "client" }}
[grpc.{{ . }}]
cert = "/etc/seaweedfs/certificate.pem"
key = "/etc/seaweedfs/key.pem"
{{- end }}
{{- end -}}
