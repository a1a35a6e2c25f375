"""gRPC clients of thumbnailer."""
