"""Tests that need a node of this machine's own: collected by `make test-cluster` alone."""

import os

# They end the node that runs, and take root and half an hour. Nobody gets them by naming a folder above.
collect_ignore_glob = [] if "LUNA_TEST_NODE" in os.environ else ["test_*.py"]
