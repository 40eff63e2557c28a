"""Serves RPCs below `grpc.aio`, on a completion queue that the event loop's own thread polls."""
