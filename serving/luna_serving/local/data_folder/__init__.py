"""The folder that keeps a local platform's data, its ports, its environment file and its caches."""
