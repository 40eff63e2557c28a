"""Whether traces are wanted: OpenTelemetry's own variables say so, as in other programs."""

from collections.abc import Mapping

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def asks_for_traces(environ: Mapping[str, str]) -> bool:
    """Whether an endpoint is set, and traces are not turned off."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(_first(environ, _ENDPOINTS)) and not off and _exporter(environ) != "none"


def problem(environ: Mapping[str, str]) -> str | None:
    """Why traces cannot be exported as the variables say; None: they can."""
    endpoint, protocol = _first(environ, _ENDPOINTS), _first(environ, _PROTOCOLS)
    if not endpoint.startswith(("http://", "https://")):
        return "the OTLP endpoint must be an http or https URL, such as http://collector:4318"
    if protocol not in ("", "http/protobuf"):
        return (
            "the OTLP protocol must be http/protobuf, which collectors receive on port 4318: set "
            "OTEL_EXPORTER_OTLP_PROTOCOL and the endpoint"
        )
    if _exporter(environ) not in ("", "otlp"):
        return "OTEL_TRACES_EXPORTER must be otlp or none"
    return None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


def _exporter(environ: Mapping[str, str]) -> str:
    return environ.get("OTEL_TRACES_EXPORTER", "").strip()
