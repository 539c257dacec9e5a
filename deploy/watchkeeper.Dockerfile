# syntax=docker/dockerfile:1
# The server with its web pages inside. Build from the repository's root:
#   docker build -f deploy/watchkeeper.Dockerfile -t watchkeeper/watchkeeper .

FROM node:20-bookworm-slim AS ui
WORKDIR /src/collector/ui
COPY collector/ui/package.json collector/ui/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-fund
COPY collector/ui ./
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=ui /src/collector/ui/dist collector/ui/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p watchkeeper \
    && cp target/dist/watchkeeper /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/watchkeeper --create-home watchkeeper
COPY --from=build /usr/local/bin/watchkeeper /usr/local/bin/
USER watchkeeper
WORKDIR /var/lib/watchkeeper
VOLUME /var/lib/watchkeeper
EXPOSE 8770 4317 4318
ENTRYPOINT ["watchkeeper"]
CMD ["serve"]
