"""gRPC clients of other services."""
