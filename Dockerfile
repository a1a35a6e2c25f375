# One image a service: docker build --build-arg SERVICE=catalog .
# It has only that service's code and dependencies.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS packages
ARG SERVICE
COPY requirements/${SERVICE}.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /packages && /packages/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r /requirements.txt \
    && /packages/bin/pip check --disable-pip-version-check

FROM ${PYTHON_IMAGE}
ARG SERVICE
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin marquee \
    && mkdir -p /media /keys /hot && chown marquee:marquee /media /keys /hot
COPY --from=packages /packages /packages
COPY libs/kit /app/libs/kit
COPY libs/lsv /app/libs/lsv
COPY libs/mp4 /app/libs/mp4
COPY libs/protos /app/libs/protos
COPY libs/sandbox /app/libs/sandbox
COPY libs/zerocopy /app/libs/zerocopy
COPY services/__init__.py /app/services/__init__.py
COPY services/${SERVICE} /app/services/${SERVICE}
ENV PATH=/packages/bin:$PATH \
    PYTHONPATH=/app:/app/libs:/app/libs/protos \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SERVICE=${SERVICE} \
    MARQUEE_HTTP_HOST=0.0.0.0 \
    MARQUEE_HTTP_PORT=8000 \
    MARQUEE_GRPC_BIND=0.0.0.0:50051
WORKDIR /app
# Compiled once here: the root file system is read-only where it runs.
RUN python -m compileall -q /app
# What the image is made of, with licences.
RUN --mount=type=bind,source=scripts/sbom,target=/tmp/sbom --mount=type=bind,source=requirements,target=/tmp/requirements \
    python /tmp/sbom ${SERVICE} /tmp/requirements/${SERVICE}.txt > /sbom.json
USER 10001:10001
EXPOSE 8000 50051
STOPSIGNAL SIGTERM
# Bash checks by itself: a Python process would cost more than an idle service. Often until the first success, so that those who
# wait go on at once; then every 20 s, because each start of a process in a container costs the engine some 30 ms.
HEALTHCHECK --interval=1s --timeout=25s --start-period=120s --retries=30 \
    CMD ["bash", "-c", "if rm /tmp/healthy 2>/dev/null; then sleep 20; fi; exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ] && : > /tmp/healthy"]
# exec: the service itself is process 1 and gets the signals.
ENTRYPOINT ["/bin/sh", "-c", "exec python -m services.$SERVICE \"$@\"", "marquee"]
CMD ["serve"]
# Last, so that a version whose files are the same is made of the same layers.
ARG VERSION=latest
LABEL org.opencontainers.image.title=marquee \
      org.opencontainers.image.description="Marquee: self-hosted video on demand, service ${SERVICE}" \
      org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.version=${VERSION}
