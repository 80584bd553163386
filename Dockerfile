# syntax=docker/dockerfile:1
# Two images from one file:
#   docker build --target server -t lehr-server .
#   docker build --target worker -t lehr-worker .
# The server's holds no torch and no CUDA. The worker's takes torch 2.13.0 as the package index serves it,
# on Linux with its CUDA libraries; the host brings the driver (NVIDIA Container Toolkit).

ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home --home-dir /var/lib/lehr lehr
WORKDIR /app

# The lock is used as a constraint: each image gets only what its part needs, at the locked versions.
FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/lehr
ENV PATH=/opt/lehr/bin:$PATH
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip pip install --constraint requirements.lock hatchling
COPY pyproject.toml README.md LICENSE ./
COPY lehr ./lehr
COPY service ./service
COPY workers ./workers
COPY migrations ./migrations

FROM build AS build-server
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint requirements.lock --no-build-isolation '.[server]'

FROM build AS build-worker
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint requirements.lock --no-build-isolation '.[worker]'

FROM base AS server
COPY --from=build-server /opt/lehr /opt/lehr
# A new named volume takes over /var/lib/lehr's owner.
ENV PATH=/opt/lehr/bin:$PATH LEHR_HOST=0.0.0.0 LEHR_PORT=8765 LEHR_LOG_FORMAT=json \
    LEHR_DATABASE=sqlite:////var/lib/lehr/lehr.sqlite
USER lehr
VOLUME /var/lib/lehr
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ['LEHR_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["lehr"]
CMD ["serve"]

FROM base AS worker
COPY --from=build-worker /opt/lehr /opt/lehr
ENV PATH=/opt/lehr/bin:$PATH LEHR_LOG_FORMAT=json LEHR_DEVICE=auto \
    LEHR_CHECKPOINTS=/var/lib/lehr/checkpoints
USER lehr
VOLUME /var/lib/lehr
STOPSIGNAL SIGTERM
# A worker opens no port: whether it lives is seen at the server (GET /v1/workers).
ENTRYPOINT ["lehr", "worker"]
