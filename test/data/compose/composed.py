"""Prints what docker-compose 1.29 makes of files, one JSON document for all of them: the
file's merged form as text, or None for files that are newer than it."""
import json
import os
import sys

from compose.config import config, environment
from compose.config.errors import ConfigurationError
from compose.config.serialize import serialize_config

result = {}
for path in sys.argv[1:]:
    folder = os.path.dirname(path)
    try:
        env = environment.Environment.from_env_file(folder)
        details = config.find(folder, [path], env)
        result[path] = serialize_config(config.load(details))
    except ConfigurationError:
        result[path] = None
print(json.dumps(result))
