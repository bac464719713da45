{{/* Names and labels of objects. Pods are in _pods.tpl. */}}

{{/* At most 40 characters: KubeRay takes 47 for a RayService, and Services append to it. */}}
{{- define "luna.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of one object. Takes (list $ "component"). */}}
{{- define "luna.labels" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "luna.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels by which Services, policies and budgets select the pods of a component. Not app.kubernetes.io/name: KubeRay's
head Service selects its own value of it.
*/}}
{{- define "luna.selector" -}}
app.kubernetes.io/part-of: luna
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* Labels of Luna's pods, without the chart's version, so that a new version alone restarts nothing. */}}
{{- define "luna.podLabels" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
{{ include "luna.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image. Takes (list $ "serving"): a key of .Values.images. */}}
{{- define "luna.image" -}}
{{- $root := first . -}}
{{- $image := get $root.Values.images (last .) -}}
{{- $default := eq (last .) "gpu" | ternary (printf "%s-gpu" $root.Chart.AppVersion) $root.Chart.AppVersion -}}
{{- with $root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if not (and $image.digest (not $image.tag)) }}:{{ default $default $image.tag }}{{ end -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The Service in front of Serve: KubeRay makes it, and moves it from an old Ray cluster to the new one. */}}
{{- define "luna.serveService" -}}{{ include "luna.fullname" . }}-serve{{- end -}}

{{/* Where callers reach Luna: `url` in every account's Secret. */}}
{{- define "luna.publicUrl" -}}
{{- if .Values.operator.publicUrl -}}
{{- .Values.operator.publicUrl -}}
{{- else if and .Values.ingress.enabled .Values.ingress.host -}}
{{- printf "%s://%s" (.Values.ingress.tls.enabled | ternary "https" "http") .Values.ingress.host -}}
{{- else -}}
{{- printf "http://%s.%s.svc.cluster.local:8000" (include "luna.serveService" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "luna.operatorAccount" -}}
{{- if .Values.operator.serviceAccount.create -}}
{{- default (printf "%s-operator" (include "luna.fullname" .)) .Values.operator.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.operator.serviceAccount.name -}}
{{- end -}}
{{- end -}}
