"""The HTTP side of every service: application, middleware, schemas, server and worker processes."""
