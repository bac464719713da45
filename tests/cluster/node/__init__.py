"""One real Kubernetes node on this machine, with Luna on it: `make cluster-up` and `make cluster-down`.

For machines without a registry and without Docker: Debian or Ubuntu on x86-64, as root. The node lives in namespaces
of its own (network, mounts, processes), so that ending one process ends all of it. Here belongs what such a machine
needs: packages, programs, images, the node's processes, KubeRay. Claims about Luna on a node belong in
`tests/cluster_node`.
"""
