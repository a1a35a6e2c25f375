"""The load of the benchmark: one process, one thread, epoll."""
