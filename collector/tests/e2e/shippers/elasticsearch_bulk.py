"""The official client's bulk helper: `elasticsearch_bulk.py host:port`."""

import json
import sys
from datetime import datetime, timezone

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

client = Elasticsearch(f"http://{sys.argv[1]}")
assert client.ping()
now = datetime.now(timezone.utc).isoformat()
documents = [
    {
        "_op_type": "create",
        "_index": "logs-python",
        "@timestamp": now,
        "message": f"document {number}",
        "log": {"level": "warning"},
        "service": {"name": "python-elasticsearch"},
        "number": number,
    }
    for number in range(1000)
]
documents.append({"_index": "logs-python", "@timestamp": "2001-01-01", "message": "ancient"})
stored, errors = bulk(client, documents, raise_on_error=False)
print(json.dumps({"stored": stored, "errors": errors, "version": client.info()["version"]["number"]}))
