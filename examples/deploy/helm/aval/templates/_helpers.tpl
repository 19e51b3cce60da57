{{- define "aval.name" -}}
{{- printf "%s" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "aval.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "aval.labels" -}}
{{ include "aval.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "aval.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* The host under which the gateway answers; to any other it says 400, also to a probe. */ -}}
{{- define "aval.host" -}}
{{- (urlParse .Values.publicUrl).host -}}
{{- end }}

{{- define "aval.mostPods" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicaCount }}{{ end }}
{{- end }}

{{- /* One pod more while rolling, 6 connections beside the pages' in each process; 2 of a job or a hand, 3 reserved by
the server, 10 that are held for a moment. */ -}}
{{- define "aval.mostConnections" -}}
{{- add (mul (add 1 (include "aval.mostPods" . | int)) (.Values.processes | int) (add 6 (.Values.database.connections | int))) 15 -}}
{{- end }}

{{- define "aval.checked" -}}
{{- $missing := list -}}
{{- range $name, $value := dict "publicUrl" .Values.publicUrl "operator.name" .Values.operator.name "operator.contact" .Values.operator.contact "trustedProxies" .Values.trustedProxies "keys.existingSecret" .Values.keys.existingSecret "database.url" .Values.database.url "database.password.existingSecret" .Values.database.password.existingSecret -}}
{{- if not $value }}{{ $missing = append $missing $name }}{{ end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.from) }}{{ $missing = append $missing "networkPolicy.from" }}{{ end -}}
{{- with .Values.metrics -}}
{{- if and .enabled $.Values.networkPolicy.enabled (not .from) }}{{ $missing = append $missing "metrics.from" }}{{ end -}}
{{- if and .serviceMonitor.enabled (not .enabled) }}{{ fail "metrics.serviceMonitor.enabled: there is nothing to scrape without metrics.enabled" }}{{ end -}}
{{- if and .serviceMonitor.enabled (not ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}{{ fail "metrics.serviceMonitor.enabled: this cluster knows no ServiceMonitor (monitoring.coreos.com/v1); install the Prometheus operator first, or for helm template add --api-versions monitoring.coreos.com/v1" }}{{ end -}}
{{- end -}}
{{- if $missing }}{{ fail (printf "set these values: %s" (join ", " $missing)) }}{{ end -}}
{{- if and .Values.mark.persistentVolumeClaim .Values.mark.emptyDir }}{{ fail "set mark.persistentVolumeClaim or mark.emptyDir, not both" }}{{ end -}}
{{- if not (or .Values.mark.persistentVolumeClaim .Values.mark.emptyDir) }}{{ fail "set mark.persistentVolumeClaim; or mark.emptyDir: true, when you have read in values.yaml what that costs" }}{{ end -}}
{{- range list "AVAL_PUBLIC_URL" "AVAL_DATA_DIR" "AVAL_DATABASE_URL" "AVAL_DATABASE_DIRECT_URL" "AVAL_DATABASE_PASSWORD_FILE" "AVAL_DATABASE_CONNECTIONS" "AVAL_MODE" "AVAL_PORT" "AVAL_PROCESSES" "AVAL_OPERATOR_NAME" "AVAL_OPERATOR_CONTACT" "AVAL_TRUSTED_PROXIES" "AVAL_KEYS_DIR" "AVAL_MARK_FILE" "AVAL_CA_FILE" "AVAL_METRICS_ADDRESS" -}}
{{- if hasKey $.Values.settings . }}{{ fail (printf "settings.%s: the chart sets it from a value of its own" .) }}{{ end -}}
{{- end -}}
{{- $most := include "aval.mostConnections" . | int -}}
{{- if and (not .Values.database.directUrl) (gt $most (.Values.database.maxConnections | int)) -}}
{{- fail (printf "the pods could ask for %d connections, and database.maxConnections is %d: fewer pods, processes or database.connections, a larger server, or pgBouncer in front (database.directUrl)" $most (.Values.database.maxConnections | int)) -}}
{{- end -}}
{{- end }}

{{- define "aval.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "aval.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "aval.databaseEnv" -}}
- { name: AVAL_PUBLIC_URL, value: {{ .Values.publicUrl | quote }} }
- { name: AVAL_DATA_DIR, value: /var/lib/aval/data }
- { name: AVAL_DATABASE_URL, value: {{ .Values.database.url | quote }} }
{{- with .Values.database.directUrl }}
- { name: AVAL_DATABASE_DIRECT_URL, value: {{ . | quote }} }
{{- end }}
- { name: AVAL_DATABASE_PASSWORD_FILE, value: /run/secrets/aval-database/password }
- { name: AVAL_DATABASE_CONNECTIONS, value: {{ .Values.database.connections | quote }} }
{{- end }}

{{- define "aval.databaseMounts" -}}
- { name: database-password, mountPath: /run/secrets/aval-database, readOnly: true }
{{- if .Values.database.ca.existingSecret }}
- { name: database-ca, mountPath: /run/secrets/aval-database-ca, readOnly: true }
{{- end }}
- { name: data, mountPath: /var/lib/aval/data }
{{- end }}

{{- define "aval.databaseVolumes" -}}
- name: database-password
  secret:
    secretName: {{ .Values.database.password.existingSecret }}
    defaultMode: 0440
    items: [{ key: {{ .Values.database.password.key | quote }}, path: password }]
{{- with .Values.database.ca }}
{{- if .existingSecret }}
- name: database-ca
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items: [{ key: {{ .key | quote }}, path: ca.crt }]
{{- end }}
{{- end }}
- { name: data, emptyDir: { sizeLimit: 1Gi } }
{{- end }}

{{- define "aval.environment" -}}
{{ include "aval.databaseEnv" . }}
- { name: AVAL_MODE, value: production }
{{- if not (hasKey .Values.settings "AVAL_HOST") }}
- { name: AVAL_HOST, value: 0.0.0.0 }
{{- end }}
- { name: AVAL_PORT, value: "8400" }
- { name: AVAL_PROCESSES, value: {{ .Values.processes | quote }} }
- { name: AVAL_OPERATOR_NAME, value: {{ .Values.operator.name | quote }} }
- { name: AVAL_OPERATOR_CONTACT, value: {{ .Values.operator.contact | quote }} }
- { name: AVAL_TRUSTED_PROXIES, value: {{ .Values.trustedProxies | toJson | quote }} }
- { name: AVAL_KEYS_DIR, value: /run/aval/keys }
- name: POD
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- { name: AVAL_MARK_FILE, value: /var/lib/aval-mark/$(POD)/high-water }
{{- if .Values.metrics.enabled }}
- { name: AVAL_METRICS_ADDRESS, value: "0.0.0.0:{{ .Values.metrics.port }}" }
{{- end }}
{{- if .Values.organisationsCa.existingSecret }}
- { name: AVAL_CA_FILE, value: /run/secrets/aval-organisations-ca/ca.crt }
{{- end }}
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ if kindIs "slice" $value }}{{ $value | toJson | quote }}{{ else }}{{ $value | toString | quote }}{{ end }} }
{{- end }}
{{- end }}
