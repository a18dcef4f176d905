"""Docker's Engine API over HTTP: decode a request, call the engine on a thread, encode the answer."""
