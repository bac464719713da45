{{/* What the head and the workers of the Ray cluster have in common. */}}

{{/*
The environment of every Ray process: `luna up` sets the same for one machine, docs/configuration.md says why.
RAY_AUTH_MODE and the token come from KubeRay (authOptions).
*/}}
{{- define "luna.rayEnv" -}}
{{- $serving := .Values.serving -}}
- {name: USER, value: luna}
- {name: HOME, value: /tmp}
- {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
- {name: RAY_SERVE_THROUGHPUT_OPTIMIZED, value: "1"}
- {name: RAY_worker_niceness, value: "0"}
- {name: RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH, value: "268435456"}
- {name: RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S, value: "60"}
- {name: RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S, value: "120"}
- {name: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, value: "luna_serving.edge.middleware:middlewares"}
- {name: RAY_SERVE_HAPROXY_BINARY_PATH, value: /opt/luna/bin/luna-haproxy}
- {name: RAY_SERVE_HAPROXY_NBTHREAD, value: {{ $serving.haproxyThreads | quote }}}
{{- /* Both cost a line or a sample per request, and Luna has its own. */}}
- {name: RAY_SERVE_HAPROXY_METRICS_ENABLED, value: {{ $serving.rayMetrics | ternary "1" "0" | quote }}}
- {name: RAY_enable_metrics_collection, value: {{ $serving.rayMetrics | ternary "1" "0" | quote }}}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: LUNA_PROXY, value: haproxy}
{{- /* What HAProxy and Serve answer by themselves, they answer without the application's settings. */}}
- {name: LUNA_EDGE_REQUEST_TIMEOUT_S, value: {{ include "luna.requestTimeout" . | quote }}}
{{- with ($serving.settings.edge | default dict).retried_routes }}
- {name: LUNA_EDGE_RETRIED_ROUTES, value: {{ join "," . | quote }}}
{{- end }}
{{- with $serving.settings.cors }}
{{- with .origins }}
- {name: LUNA_CORS_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- with .credentials }}
- {name: LUNA_CORS_CREDENTIALS, value: "true"}
{{- end }}
{{- end }}
- {name: XDG_CACHE_HOME, value: /var/cache/luna}
- {name: JAX_COMPILATION_CACHE_DIR, value: /var/cache/luna/jax}
- {name: JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS, value: "0"}
{{- end -}}

{{/* Seconds until a call is answered 408: the setting, or its default. */}}
{{- define "luna.requestTimeout" -}}
{{- (.Values.serving.settings.edge | default dict).request_timeout_s | default 30 -}}
{{- end -}}

{{/* The application's arguments: groups of luna_serving.settings, which override LUNA_ variables. */}}
{{- define "luna.serveConfig" -}}
{{- $serving := .Values.serving -}}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
logging_config:
  encoding: JSON
  log_level: {{ $serving.logLevel }}
  enable_access_log: false
applications:
  - name: luna
    route_prefix: /
    import_path: luna_serving.app:build
    args:
      proxy: haproxy
      {{- $served := list }}
      {{- $groups := deepCopy $serving.settings }}
      {{- $_ := set $groups "edge" (merge (include "luna.scaled" (list $ $serving.ingress) | fromYaml) (get $groups "edge" | default dict)) }}
      {{- $_ := set $groups "workers" (merge (include "luna.background" $ | fromYaml) (get $groups "workers" | default dict)) }}
      {{- range $name, $capability := $serving.capabilities }}
      {{- if $capability.enabled }}
      {{- $served = append $served $name }}
      {{- $own := $capability.settings | default dict }}
      {{- if $capability.replicas }}
      {{- $own = merge (include "luna.scaled" (list $ $capability) | fromYaml) (dict "gpus" $capability.gpus) $own }}
      {{- end }}
      {{- if $own }}
      {{- $_ := set $groups $name $own }}
      {{- end }}
      {{- end }}
      {{- end }}
      only: {{ toJson (sortAlpha $served) }}
      hosts: {{ toJson $serving.hosts }}
      {{- range $name, $group := $groups }}
      {{ $name }}: {{ toJson $group }}
      {{- end }}
{{- end -}}

{{/* The replicas of a deployment, in the form of the settings. Takes (list $ values): with `replicas` and `cpus`. */}}
{{- define "luna.scaled" -}}
{{- $root := first . -}}
{{- $scaled := last . -}}
replicas_min: {{ int $scaled.replicas.min }}
replicas_max: {{ int $scaled.replicas.max }}
replicas_per_node: {{ include "luna.perNode" (list $root (int $scaled.replicas.max) (gt (float64 ($scaled.gpus | default 0)) 0.0)) }}
cpus: {{ $scaled.cpus }}
{{- end -}}

{{/*
The most replicas on one worker: the least number with which all of them fit on the most workers, so that a lost worker
takes no more than it must. Takes (list $ replicas gpu).
*/}}
{{- define "luna.perNode" -}}
{{- $workers := include "luna.mostWorkers" (list (first .) (ternary "gpu" "cpu" (last .))) | int -}}
{{- min 100 (divf (index . 1) $workers | ceil | int) -}}
{{- end -}}

{{/* The same for the workers of jobs and loops. One that is alone may have others beside it while there are many jobs. */}}
{{- define "luna.background" -}}
{{- $background := .Values.serving.background -}}
{{- $most := max (int $background.replicas) (int $background.replicasMax) -}}
replicas: {{ int $background.replicas }}
replicas_max: {{ $most }}
replicas_per_node: {{ gt (int $background.replicas) 1 | ternary (include "luna.perNode" (list $ $most false)) "0" }}
job_slots: {{ int $background.slots }}
cpus: {{ $background.cpus }}
{{- end -}}

{{/* The smallest share of a GPU that a replica requests; 0 if none does. */}}
{{- define "luna.gpus" -}}
{{- $least := 0.0 -}}
{{- range .Values.serving.capabilities -}}
{{- $gpus := float64 (.gpus | default 0) -}}
{{- if and .enabled (gt $gpus 0.0) (or (eq $least 0.0) (lt $gpus $least)) -}}
{{- $least = $gpus -}}
{{- end -}}
{{- end -}}
{{- $least -}}
{{- end -}}

{{/* The volumes that stand in for a writable root. Takes (list $ $group). */}}
{{- define "luna.rayVolumes" -}}
{{- $serving := (first .).Values.serving -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ $serving.tmpSizeLimit }}
- name: cache
  {{- if $serving.compilationCache.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ $serving.compilationCache.existingClaim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $serving.compilationCache.sizeLimit }}
  {{- end }}
{{- with $serving.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "luna.rayMounts" -}}
{{- $serving := .Values.serving -}}
- name: tmp
  mountPath: /tmp
- name: cache
  mountPath: /var/cache/luna
  {{- if $serving.compilationCache.existingClaim }}
  # XLA's programs for one node's processor must not run on another's.
  subPathExpr: $(NODE_NAME)
  {{- end }}
{{- with $serving.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of a Ray pod. Takes (list $ $settings "component"). Any change here rolls a new Ray cluster. */}}
{{- define "luna.rayMetadata" -}}
{{- $root := first . -}}
{{- $settings := index . 1 -}}
labels:
  {{- include "luna.selector" (list $root (last .)) | nindent 2 }}
  {{- with $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge dict $settings.podAnnotations $root.Values.serving.podAnnotations }}
{{- if eq (include "luna.settingsRoll" $root) "true" }}
{{- /* Serve would stop the only replica before it starts the next one. */}}
{{- $_ := set $annotations "luna.dev/settings" (include "luna.serveConfig" $root | sha256sum | trunc 16) }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Whether changed settings roll a new Ray cluster: "true" or "false". Serve starts all replicas anew at any of them, in
place, a share after the other; a deployment with one replica answers nothing meanwhile.
*/}}
{{- define "luna.settingsRoll" -}}
{{- $serving := .Values.serving -}}
{{- $least := int $serving.ingress.replicas.min -}}
{{- range $serving.capabilities -}}
{{- if and .enabled .replicas -}}
{{- $least = min $least (int .replicas.min) -}}
{{- end -}}
{{- end -}}
{{- if eq $serving.upgrade.settings "Auto" -}}
{{- lt $least 2 -}}
{{- else -}}
{{- eq $serving.upgrade.settings "NewCluster" -}}
{{- end -}}
{{- end -}}

{{/* The most workers of a group at once, without those of another Ray cluster. Takes (list $ "cpu"). */}}
{{- define "luna.mostWorkers" -}}
{{- $serving := (first .).Values.serving -}}
{{- $group := get $serving.workers (last .) -}}
{{- /* Without an autoscaler there are never more than the least. */ -}}
{{- max 1 (int (ternary $group.max $group.min $serving.autoscaler.enabled)) -}}
{{- end -}}

{{/*
A worker group. Takes (list $ "cpu"): a key of .Values.serving.workers. The secrets are here and not on the head,
which runs no replica of ours.
*/}}
{{- define "luna.rayWorkers" -}}
{{- $root := first . -}}
{{- $name := last . -}}
{{- $serving := $root.Values.serving -}}
{{- $group := get $serving.workers $name -}}
{{- $gpu := eq $name "gpu" -}}
{{- $alone := eq (include "luna.mostWorkers" (list $root $name)) "1" -}}
{{- /* Serve stops a replica its graceful timeout (request_timeout_s) before the deadline, whether another runs or not. */ -}}
{{- $deadline := add (int $serving.drainSeconds) (include "luna.requestTimeout" $root | float64 | ceil | int) -}}
groupName: {{ $name }}
replicas: {{ int $group.min }}
minReplicas: {{ int $group.min }}
maxReplicas: {{ int $group.max }}
{{- if $serving.autoscaler.enabled }}
idleTimeoutSeconds: {{ int $group.idleTimeoutSeconds }}
{{- end }}
rayStartParams:
  # Series are sent through gRPC; large answers of indicators through the object store.
  object-store-memory: {{ int64 $serving.objectStoreBytes | quote }}
template:
  metadata:
    {{- include "luna.rayMetadata" (list $root $group "ray-worker") | nindent 4 }}
  spec:
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: {{ add $deadline 60 }}
    {{- with $group.runtimeClassName }}
    runtimeClassName: {{ . }}
    {{- end }}
    {{- include "luna.pullSecrets" $root | indent 4 }}
    {{- include "luna.placement" (list $root $group "ray-worker") | indent 4 }}
    securityContext:
      {{- include "luna.podSecurity" (list $root) | nindent 6 }}
    initContainers:
      - {{- include "luna.waitForSchema" (list $root ($gpu | ternary "gpu" "serving")) | nindent 8 }}
    containers:
      - name: ray-worker
        image: {{ include "luna.image" (list $root ($gpu | ternary "gpu" "serving")) }}
        imagePullPolicy: {{ (get $root.Values.images ($gpu | ternary "gpu" "serving")).pullPolicy }}
        ports:
          - {name: serve, containerPort: 8000}
          - {name: metrics, containerPort: 8080}
          - {name: agent, containerPort: 52365}
        env:
          {{- if $serving.compilationCache.existingClaim }}
          - name: NODE_NAME
            valueFrom:
              fieldRef:
                fieldPath: spec.nodeName
          {{- end }}
          {{- include "luna.rayEnv" $root | nindent 10 }}
          {{- include "luna.secretsEnv" $root | nindent 10 }}
          {{- with include "luna.objectsEnv" $root }}
          {{- . | nindent 10 }}
          {{- end }}
          {{- with $root.Values.clientSecrets }}
          {{- if .existingSecret }}
          - name: LUNA_CLIENT_SECRETS
            valueFrom:
              secretKeyRef:
                name: {{ .existingSecret }}
                key: {{ .existingSecretKey }}
          {{- end }}
          {{- end }}
          {{- $share := float64 (include "luna.gpus" $root) }}
          {{- if and $gpu (lt $share 1.0) }}
          # Replicas that share a GPU share its memory: each would take three quarters of it.
          - {name: XLA_PYTHON_CLIENT_MEM_FRACTION, value: {{ mulf 0.9 $share | quote }}}
          {{- end }}
          {{- with $serving.extraEnv }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        {{- with $serving.extraEnvFrom }}
        envFrom:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        resources:
          {{- toYaml $group.resources | nindent 10 }}
        securityContext:
          {{- include "luna.containerSecurity" $root | nindent 10 }}
        # A worker is ready if its proxy finds replicas; other workers stay out of the Service.
        readinessProbe:
          httpGet: {path: /-/healthz, port: serve}
          periodSeconds: 5
          timeoutSeconds: 2
          failureThreshold: 2
        # The raylet. Not sooner: it must outlive the replacement of a head.
        livenessProbe:
          httpGet: {path: /api/local_raylet_healthz, port: agent}
          initialDelaySeconds: 30
          periodSeconds: 10
          timeoutSeconds: 5
          failureThreshold: 60
        lifecycle:
          preStop:
            exec:
              {{- if $alone }}
              # There is no other worker for the replicas, and KubeRay makes the next one when this one is gone: once
              # no new calls come, nothing is worth waiting for.
              command: [bash, -c, "sleep {{ min 10 (int $serving.drainSeconds) }}; ray stop --force"]
              {{- else }}
              # Serve starts the replicas elsewhere before it stops these; until then this pod answers. It ends when
              # none is left. Without a head nothing moves them, and the pod ends once it has left the Service.
              command:
                - bash
                - -c
                - >-
                  if timeout 20 ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION
                  --reason-message "the pod is being deleted" --deadline-remaining-seconds {{ $deadline }};
                  then until [ $SECONDS -ge {{ $deadline }} ]
                  || ! grep --quiet --no-messages "Serve[R]eplica" /proc/[0-9]*/cmdline; do sleep 1; done; fi;
                  [ $SECONDS -ge 10 ] || sleep $((10 - SECONDS))
              {{- end }}
        volumeMounts:
          {{- include "luna.rayMounts" $root | nindent 10 }}
    volumes:
      {{- include "luna.rayVolumes" (list $root) | nindent 6 }}
{{- end -}}
