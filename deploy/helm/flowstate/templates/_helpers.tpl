{{- define "flowstate.name" -}}
{{- printf "%s-%s" .root.Release.Name .service | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "flowstate.selector" -}}
app.kubernetes.io/name: flowstate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "flowstate.labels" -}}
{{ include "flowstate.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "flowstate.image" -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end -}}
{{ .image }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- /*
What the memory limit leaves for the heap, in MiB. Beside it stand, as measured (deploy/capacity.md): Node, code and
buffers, and in gateways and workers the offline model where no endpoint embeds.
*/ -}}
{{- define "flowstate.heap" -}}
{{- $limit := .values.resources.limits.memory -}}
{{- $mib := ternary (mul (trimSuffix "Gi" $limit | int) 1024) (trimSuffix "Mi" $limit | int) (hasSuffix "Gi" $limit) -}}
{{- $beside := ternary 128 96 (eq .service "gateway") -}}
{{- if and (ne .service "controller") (not .root.Values.embeddings.baseUrl) -}}
{{- $beside = ternary 384 320 (eq .service "gateway") -}}
{{- end -}}
{{- $heap := sub $mib $beside -}}
{{- if lt $heap 64 -}}
{{- fail (printf "%s.resources.limits.memory must be at least %dMi: %d MiB are taken beside the heap" .service (add $beside 64) $beside) -}}
{{- end -}}
{{ $heap }}
{{- end -}}

{{- define "flowstate.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.existingSecret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end -}}

{{- define "flowstate.commonEnv" -}}
- name: HOST
  value: 0.0.0.0
- name: LOG_LEVEL
  value: {{ .root.Values.logLevel }}
- name: NODE_OPTIONS
  value: --max-old-space-size={{ include "flowstate.heap" . }}
- name: FLOWSTATE_VERSION
  value: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
- name: OTEL_ENABLED
  value: {{ .root.Values.tracing.enabled | quote }}
{{- if .root.Values.tracing.enabled }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .root.Values.tracing.endpoint | quote }}
{{- end }}
{{- range $name, $value := .values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $key := .values.secretEnv }}
{{ include "flowstate.secretEnv" (dict "root" $.root "name" $name "key" $key) }}
{{- end }}
{{- end -}}

{{- define "flowstate.embeddingsEnv" -}}
{{- with .root.Values.embeddings }}
{{- if .baseUrl }}
- name: EMBEDDINGS_BASE_URL
  value: {{ .baseUrl | quote }}
- name: EMBEDDINGS_MODEL
  value: {{ .model | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "flowstate.llmEnv" -}}
{{- with .root.Values.llm }}
{{- if .baseUrl }}
- name: LLM_BASE_URL
  value: {{ .baseUrl | quote }}
- name: LLM_MODEL
  value: {{ .model | quote }}
{{- with .fallbackModels }}
- name: LLM_FALLBACK_MODELS
  value: {{ . | quote }}
{{- end }}
{{- with .prices }}
- name: LLM_PRICES
  value: {{ toJson . | quote }}
{{- end }}
{{ include "flowstate.secretEnv" (dict "root" $.root "name" "LLM_API_KEY" "key" "llm-api-key" "optional" true) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Workers keep to it, and the controller starts no more of them than it feeds. */ -}}
{{- define "flowstate.llmRateEnv" -}}
{{- with .root.Values.llm }}
{{- if .requestsPerMinute }}
- name: LLM_REQUESTS_PER_MINUTE
  value: {{ .requestsPerMinute | int64 | quote }}
{{- end }}
{{- if .tokensPerMinute }}
- name: LLM_TOKENS_PER_MINUTE
  value: {{ .tokensPerMinute | int64 | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "flowstate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "flowstate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "flowstate.placement" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "flowstate.selector" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "flowstate.selector" . | nindent 8 }}
{{- end -}}
