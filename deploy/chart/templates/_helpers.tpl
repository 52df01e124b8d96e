{{- define "logfence.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "logfence.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "logfence.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "logfence.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What tells the pods from all others. */}}
{{- define "logfence.selector" -}}
app.kubernetes.io/name: {{ include "logfence.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "logfence.labels" -}}
{{ include "logfence.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The pod of the test is none of the gateway's. */}}
{{- define "logfence.testSelector" -}}
app.kubernetes.io/name: {{ include "logfence.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{- define "logfence.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "logfence.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "logfence.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* A value as text: numbers are floats in Helm, and a million would be 1e+06. */}}
{{- define "logfence.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "float64" . }}{{ int64 . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{/* Nine tenths of the limit of memory, for Go's garbage collector; nothing where it is written otherwise than in Mi or Gi. */}}
{{- define "logfence.memoryLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString }}
{{- if regexMatch "^[0-9]+Mi$" $limit }}{{ div (mul (trimSuffix "Mi" $limit) 9) 10 }}MiB
{{- else if regexMatch "^[0-9]+Gi$" $limit }}{{ div (mul (trimSuffix "Gi" $limit) 9216) 10 }}MiB
{{- end }}
{{- end }}

{{/* How long Kubernetes waits before it kills a pod that ends. */}}
{{- define "logfence.gracePeriod" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds }}{{ add .Values.drain.delaySeconds .Values.drain.timeoutSeconds 15 }}
{{- else }}{{ int64 .Values.terminationGracePeriodSeconds }}
{{- end }}
{{- end }}

{{/* The path below which callers find the API. */}}
{{- define "logfence.basePath" -}}
{{- .Values.config.LOGFENCE_BASE_PATH | default "/" }}
{{- end }}
