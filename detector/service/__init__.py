"""The REST API: routes, uploads, jobs, tokens."""
