"""Ends with 0 if the server at the address given answers 200, else with 1 and one sentence."""

import sys
import urllib.request

# A proxy that the environment names must not be asked for this machine's own server.
ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

try:
    with ask(sys.argv[1], timeout=4) as answer:
        answer.read()
except OSError as error:  # HTTPError and URLError are of these
    sys.exit(f"{sys.argv[1]} does not answer as it should: {error}")
