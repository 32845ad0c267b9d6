# One image for the API, the workers, Ray's nodes and the commands; what follows its name says which.
#
#   docker build --tag alphagrad .                              torch for the CPU
#   docker build --tag alphagrad:cuda --build-arg TORCH=cuda .  torch for CUDA, and a compiler for Triton
#
# A pip.conf of one's own (a mirror, a proxy) is a secret of the build: --secret id=pip,src=pip.conf
# is used while it runs and is no part of the image.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

# Everything that is not ours, in a layer that changes when constraints.txt or the list of dependencies do.
FROM ${BASE} AS dependencies
ARG TORCH=cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /venv
COPY constraints.txt pyproject.toml ./
# PyPI's torch for Linux is the one for CUDA (on x86-64); the one for the CPU has an index of its own.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    case "${TORCH}" in \
      cpu) /venv/bin/pip install --constraint constraints.txt --no-deps --index-url "${TORCH_CPU_INDEX}" torch ;; \
      cuda) ;; \
      *) echo "TORCH is '${TORCH}'; cpu and cuda are known" >&2; exit 1 ;; \
    esac
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
    && /venv/bin/pip install --constraint constraints.txt --requirement requirements.txt

# Ours, with its two extensions in C, into a folder that is laid over the environment afterwards.
FROM dependencies AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /venv/bin/pip install --no-deps --prefix /alphagrad . \
    && cd /alphagrad/lib/python3*/site-packages/alphagrad \
    && ls optim/_kernels.*.so studies/_activations.*.so

FROM ${BASE}
ARG TORCH=cpu
# libgomp1: the native kernel's threads. Triton compiles its kernels' launchers when they are first used.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
      $(if [ "${TORCH}" = cuda ]; then echo gcc libc6-dev; fi) \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --home-dir /state --uid 1000 alphagrad \
    && install --directory --owner alphagrad --group alphagrad --mode 750 /state
COPY --from=dependencies /venv /venv
COPY --from=build /alphagrad /venv
# The root file system may be read-only: all that is written goes to /state and /tmp.
ENV PATH=/venv/bin:$PATH \
    ALPHAGRAD_HOME=/state \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    TRITON_CACHE_DIR=/state/triton
USER 1000:1000
WORKDIR /state
VOLUME /state
EXPOSE 8000
# Of the API on its usual port. A worker listens nowhere: docker-compose.yml turns this off for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["alphagrad"]
CMD ["--help"]
