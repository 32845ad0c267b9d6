# One image for the API, the workers and the migration; compose says which it is.
FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
RUN python -m venv /venv
COPY constraints.txt pyproject.toml README.md ./
COPY alphagrad alphagrad
COPY api api
COPY optim optim
COPY scheduler scheduler
COPY studies studies
COPY tuner tuner
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim
# The native kernel's threads.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 alphagrad && install --directory --owner alphagrad /state
COPY --from=build /venv /venv
USER alphagrad
ENV PATH=/venv/bin:$PATH ALPHAGRAD_HOME=/state
ENTRYPOINT ["alphagrad"]
CMD ["--help"]
