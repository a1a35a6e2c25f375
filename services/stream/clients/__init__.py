"""gRPC clients of other services, with what is kept of their answers."""
