"""Python's logging through python-logging-loki: `loki_handler.py host:port`."""

import logging
import sys

import logging_loki

handler = logging_loki.LokiHandler(
    url=f"http://{sys.argv[1]}/loki/api/v1/push",
    tags={"application": "python-loki"},
    version="1",
)
# It prints what a server refuses, and goes on.
handler.handleError = lambda record: sys.exit("a record was refused")
logger = logging.getLogger("shop")
logger.addHandler(handler)
logger.error("payment refused", extra={"tags": {"user": "u1"}})
