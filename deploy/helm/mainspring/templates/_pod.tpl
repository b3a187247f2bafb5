{{- define "mainspring.labels" -}}
app.kubernetes.io/name: mainspring
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mainspring.environment" -}}
env:
  - name: MAINSPRING_DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ .Values.database.secretName }}
        key: {{ .Values.database.secretKey }}
{{- with .Values.envSecrets }}
envFrom:
{{- range . }}
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mainspring.security" -}}
allowPrivilegeEscalation: false
runAsNonRoot: true
runAsUser: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- end -}}

{{- define "mainspring.mounts" -}}
- name: agents
  mountPath: /etc/mainspring
  readOnly: true
- name: home
  mountPath: /var/lib/mainspring
{{- end -}}

{{- define "mainspring.volumes" -}}
- name: agents
  configMap:
    name: {{ .Values.agents.configMap }}
- name: home
  persistentVolumeClaim:
    claimName: {{ .Values.home.claim }}
{{- end -}}
