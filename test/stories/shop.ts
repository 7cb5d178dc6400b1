/** A shop as a Compose file: a database, a migration, an API, workers, a web server and a probe on every host. */

export const SHOP_PORT = 18_080

export const SHOP = `
services:
  db:
    image: bb:1
    command: ["sh", "-c", "sleep 1; touch /data/ready; trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]
    volumes: ["data:/data"]
    healthcheck: { test: "test -e /data/ready", interval: 300ms, timeout: 5s, start_period: 20s }

  migrate:
    image: bb:1
    command: ["sh", "-c", "echo migrating; sleep 0.3; echo migrated"]
    restart: "no"
    depends_on: { db: { condition: service_healthy } }

  api:
    image: bb:healthy
    depends_on: { migrate: { condition: service_completed_successfully } }
    environment: { GREETING: hello world, EMPTY: "", DOLLAR: "$$HOME" }
    labels: { org.example.team: shop }
    user: "1000:1000"
    working_dir: /tmp
    init: true
    read_only: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: ["no-new-privileges:true"]
    ulimits: { nofile: { soft: 1024, hard: 2048 } }
    extra_hosts: ["queue:10.0.0.9"]
    stop_signal: SIGTERM
    stop_grace_period: 3s
    logging: { driver: json-file, options: { max-size: 1m, max-file: "2" } }
    deploy:
      replicas: 3
      resources:
        limits: { cpus: "0.5", memory: 64M, pids: 64 }
        reservations: { cpus: "0.05", memory: 16M }

  worker:
    image: bb:1
    command: ["sh", "-c", "echo working; trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]
    volumes: [/scratch]
    deploy: { replicas: 4 }

  probe:
    image: bb:1
    deploy: { mode: global }

  web:
    image: berth/hello:1
    ports: ["${SHOP_PORT}:8080"]
    healthcheck: { test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"], interval: 300ms, timeout: 5s }
    depends_on: { api: { condition: service_healthy } }

volumes:
  data:
`

/** As `assertExactly` takes it, once it is up on three hosts. */
export const SHOP_RUNNING = { shop_db: 1, shop_api: 3, shop_worker: 4, shop_probe: 3, shop_web: 1 }
export const SHOP_ENDED = { shop_migrate: 1 }
