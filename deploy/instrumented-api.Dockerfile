# syntax=docker/dockerfile:1
# The task API. Build from the repository's root:
#   docker build -f deploy/instrumented-api.Dockerfile -t watchkeeper/instrumented-api .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p instrumented-api \
    && cp target/dist/instrumented-api /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/task-api --create-home task-api
COPY --from=build /usr/local/bin/instrumented-api /usr/local/bin/
USER task-api
WORKDIR /var/lib/task-api
EXPOSE 8081
ENTRYPOINT ["instrumented-api"]
