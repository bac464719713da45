"""The data folder: databases, ports, the environment file and caches of a local platform."""
