"""Python's logging through the official OpenTelemetry SDK: `otel_logging.py http|grpc host:port`."""

import logging
import sys

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

protocol, address = sys.argv[1:]
if protocol == "http":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(endpoint=f"http://{address}/v1/logs")
else:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(endpoint=f"http://{address}", insecure=True)

provider = LoggerProvider(resource=Resource.create({"service.name": f"python-{protocol}"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)

with TracerProvider().get_tracer("shop").start_as_current_span("pay") as span:
    logger.error("payment %s refused", 7, extra={"user": "u1", "attempts": 3})
    print(format(span.get_span_context().trace_id, "032x"))
try:
    {}["absent"]
except KeyError:
    logger.exception("it broke")
provider.shutdown()
