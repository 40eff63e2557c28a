{{- define "dyad.name" -}}
{{- if contains "dyad" .Release.Name }}{{ .Release.Name | trunc 50 }}{{ else }}{{ .Release.Name | trunc 45 }}-dyad{{ end }}
{{- end }}

{{- /* The labels of one component: (list $ "server") or (list $ "envoy"). */}}
{{- define "dyad.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: dyad
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* An image by its digest, if it has one, and otherwise by its tag: (list $image "default tag"). */}}
{{- define "dyad.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default (index . 1) }}{{ end }}
{{- end }}

{{- /* What the pods of both components have in common: (list $ "component"). */}}
{{- define "dyad.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
# Kubernetes would describe a Service called `dyad` in variables called DYAD_…
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65534
  runAsGroup: 65534
  seccompProfile: { type: RuntimeDefault }
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "dyad.labels" $ | nindent 8 }}
  {{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dyad.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- /* All settings of the server, as YAML: those of the chart, and the values' own. */}}
{{- define "dyad.settings" -}}
{{- $settings := dict "metrics_host" "0.0.0.0" "metrics_port" 9464 }}
{{- if .Values.keys.secretName }}
{{- $_ := set $settings (ternary "jwt_secret_file" "jwt_public_key" (eq .Values.keys.kind "secret")) "/run/secrets/keys" }}
{{- end }}
{{- if .Values.redis.secretName }}
{{- $_ := set $settings "redis_file" "/run/secrets/redis/url" }}
{{- end }}
{{- if .Values.tls.secretName }}
{{- $_ := set $settings "tls_cert" "/run/secrets/tls/tls.crt" }}
{{- $_ := set $settings "tls_key" "/run/secrets/tls/tls.key" }}
{{- else }}
{{- $_ := set $settings "allow_plaintext" "yes" }}
{{- end }}
{{- if .Values.envoy.enabled }}
{{- /* Envoy itself, and those in front of it: Envoy appends their address. */}}
{{- $_ := set $settings "trusted_hops" (add 1 .Values.envoy.trustedHops) }}
{{- end }}
{{- merge (deepCopy .Values.settings) $settings | toYaml }}
{{- end }}

{{- /* The configuration of Envoy: the file of deploy/, with what differs in a cluster. */}}
{{- define "dyad.envoy" -}}
{{- $envoy := .Values.envoy -}}
{{- $name := include "dyad.name" . -}}
{{- $config := .Files.Get (ternary "files/envoy-tls.yaml" "files/envoy.yaml" (ne $envoy.tls.secretName "")) | fromYaml -}}
{{- $listener := index $config.static_resources.listeners 0 -}}
{{- $_ := set $listener.address.socket_address "address" "0.0.0.0" -}}
{{- $manager := (index (index $listener.filter_chains 0).filters 0).typed_config -}}
{{- if $envoy.trustedHops }}{{ $_ := set $manager "xff_num_trusted_hops" $envoy.trustedHops }}{{ end -}}
{{- $host := index $manager.route_config.virtual_hosts 0 -}}
{{- /* Your app serves the pages. The call page is the last route. */ -}}
{{- $_ := set $host "routes" (initial $host.routes) -}}
{{- $origins := list -}}
{{- range $envoy.origins }}{{ $origins = append $origins (dict "exact" .) }}{{ end -}}
{{- $_ := set (index $host.typed_per_filter_config "envoy.filters.http.cors") "allow_origin_string_match" $origins -}}
{{- $cluster := index $config.static_resources.clusters 0 -}}
{{- $_ := set $cluster "type" "STRICT_DNS" -}}
{{- $endpoint := index (index $cluster.load_assignment.endpoints 0).lb_endpoints 0 -}}
{{- $_ := set $endpoint.endpoint.address.socket_address "address" $name -}}
{{- toYaml $config -}}
{{- end }}
