# The hub, with what it needs to run and nothing else. State is in /data: mount a volume there.
FROM node:26-slim

WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
COPY hub.ts config.ts ./
COPY commands ./commands
COPY broker ./broker
COPY gateway ./gateway
COPY analytics ./analytics
COPY simulator ./simulator

RUN mkdir /data && chown node:node /data
USER node
ENV HUB_DATA_DIR=/data
VOLUME /data
EXPOSE 1883 8080
HEALTHCHECK --interval=10s --timeout=5s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Drains on SIGTERM, in less than ten seconds.
STOPSIGNAL SIGTERM
CMD ["node", "hub.ts", "start"]
