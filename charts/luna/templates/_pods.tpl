{{/* Common parts of pods: users, writable volumes, scheduling. */}}

{{/* Pod level. Takes (list $) or, for an image with a user of its own, (list $ 999). */}}
{{- define "luna.podSecurity" -}}
{{- $security := (first .).Values.security -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- if gt (len .) 1 }}
runAsUser: {{ last . }}
runAsGroup: {{ last . }}
fsGroup: {{ last . }}
fsGroupChangePolicy: OnRootMismatch
{{- else if ge (int $security.runAsUser) 0 }}
runAsUser: {{ $security.runAsUser }}
runAsGroup: {{ $security.runAsUser }}
fsGroup: {{ $security.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end -}}

{{/* Container level. */}}
{{- define "luna.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ .Values.security.readOnlyRootFilesystem }}
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "luna.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Where pods of a component may run. Takes (list $ $settings "component"); spread over zones, then nodes, unless the
settings say otherwise. matchLabelKeys: pods of an old and a new release are spread each by themselves.
*/}}
{{- define "luna.placement" -}}
{{- $root := first . -}}
{{- $settings := index . 1 -}}
{{- $key := hasPrefix "ray-" (last .) | ternary "ray.io/cluster" "pod-template-hash" -}}
{{- with default $root.Values.priorityClassName $settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $settings.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $settings.topologySpreadConstraints | nindent 2 }}
{{- else if ne $settings.spread "Off" }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ eq $settings.spread "Hard" | ternary "DoNotSchedule" "ScheduleAnyway" }}
    labelSelector:
      matchLabels:
        {{- include "luna.selector" (list $root (last $)) | nindent 8 }}
    matchLabelKeys: [{{ $key }}]
  {{- end }}
{{- end }}
{{- end -}}

{{/* Waits until the database has this release's schema; changes nothing. Takes (list $ "serving"): the image. */}}
{{- define "luna.waitForSchema" -}}
{{- $root := first . -}}
name: wait-for-schema
image: {{ include "luna.image" . }}
imagePullPolicy: {{ (get $root.Values.images (last .)).pullPolicy }}
command: [luna, migrate, --wait, {{ $root.Values.migrations.waitSeconds | quote }}]
env:
  - name: USER
    value: luna
  {{- include "luna.databaseEnv" $root | nindent 2 }}
resources:
  requests: {cpu: 50m, memory: 128Mi}
  limits: {memory: 256Mi}
securityContext:
  {{- include "luna.containerSecurity" $root | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{/* Migrates the bundled database; a newer schema stays as it is. Takes $. */}}
{{- define "luna.migrateBundled" -}}
name: migrate
image: {{ include "luna.image" (list . "operator") }}
imagePullPolicy: {{ .Values.images.operator.pullPolicy }}
command: [sh, -c, "until luna migrate; do sleep 2; done"]
env:
  - {name: USER, value: luna}
  - {name: HOME, value: /tmp}
  {{- include "luna.databaseEnv" . | nindent 2 }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
securityContext:
  {{- include "luna.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end -}}
