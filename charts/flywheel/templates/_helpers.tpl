{{/* Labels of every object. */}}
{{- define "flywheel.labels" -}}
{{ include "flywheel.selector" . }}
app.kubernetes.io/part-of: flywheel
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that never change. */}}
{{- define "flywheel.selector" -}}
app.kubernetes.io/name: flywheel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of the controller's pods. */}}
{{- define "flywheel.controllerSelector" -}}
{{ include "flywheel.selector" . }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "flywheel.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The controller as the subjects of a RoleBinding. */}}
{{- define "flywheel.controllerSubjects" -}}
- kind: ServiceAccount
  name: flywheel-controller
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* A NetworkPolicy's egress rule to the cluster's DNS. */}}
{{- define "flywheel.dnsEgress" -}}
{{- with .Values.networkPolicy.dns -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}
      podSelector:
        matchLabels: {{- toYaml .podLabels | nindent 10 }}
  ports:
    {{- range .ports }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end }}
{{- end }}
