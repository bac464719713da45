{{/* Peers of network policies. */}}

{{- define "luna.toDns" -}}
# Any resolver: a cluster's own, or one on the node.
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* A rule for traffic out of the release. Takes (list $peers $ports). */}}
{{- define "luna.toOutside" -}}
- ports:
    {{- range last . }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with first . }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "luna.toApiServer" -}}
{{- include "luna.toOutside" (list .Values.networkPolicy.apiServer.to .Values.networkPolicy.apiServer.ports) -}}
{{- end -}}

{{- define "luna.toDatabase" -}}
{{- if .Values.postgres.enabled -}}
- ports: [{port: 5432, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "luna.selector" (list $ "postgres") | nindent 10 }}
{{- else -}}
{{- include "luna.toOutside" (list .Values.networkPolicy.database.to .Values.networkPolicy.database.ports) -}}
{{- end -}}
{{- end -}}

{{- define "luna.toRedis" -}}
{{- if .Values.valkey.enabled -}}
- ports: [{port: 6379, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "luna.selector" (list $ "valkey") | nindent 10 }}
{{- else -}}
{{- include "luna.toOutside" (list .Values.networkPolicy.redis.to .Values.networkPolicy.redis.ports) -}}
{{- end -}}
{{- end -}}

{{/* Nothing without an object store. */}}
{{- define "luna.toObjects" -}}
{{- if .Values.seaweedfs.enabled -}}
- ports: [{port: 8333, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "luna.selector" (list $ "seaweedfs") | nindent 10 }}
{{- else if .Values.objects.endpoint -}}
{{- include "luna.toOutside" (list .Values.networkPolicy.objects.to .Values.networkPolicy.objects.ports) -}}
{{- end -}}
{{- end -}}

{{/* A selector of several components. Takes (list $ "one" "other"...). */}}
{{- define "luna.anyOf" -}}
matchLabels:
  app.kubernetes.io/part-of: luna
  app.kubernetes.io/instance: {{ (first .).Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " (rest .) }}]}
{{- end -}}
