{{- define "judged.labels" -}}
app: {{ .Release.Name }}
{{- end -}}
