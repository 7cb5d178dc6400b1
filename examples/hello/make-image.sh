#!/bin/sh
# make-image.sh [TAG] [TEXT] : makes the image of examples/hello.yaml on the spot, from Debian's busybox-static alone,
# so that no image registry is needed. Uses the Docker Engine that DOCKER_HOST names, or this machine's.
set -eu
tag=${1:-berth/hello:1}
text=${2:-Hello from Berth}
busybox=${BUSYBOX:-/bin/busybox}

# A dynamic busybox would not start in an image without libraries.
"$busybox" --list >/dev/null
if command -v ldd >/dev/null 2>&1 && ldd "$busybox" >/dev/null 2>&1; then
  echo "$busybox is not static; apt-get install busybox-static" >&2
  exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/www"
cp "$busybox" "$root/bin/busybox"
for name in $("$busybox" --list); do
  [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
done
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo "$text" >"$root/www/index.html"

# PID 1 gets no default signal handlers: without the trap, stopping would take the whole grace period.
cat >"$root/bin/hello-web" <<'EOS'
#!/bin/sh
trap 'kill $server; exit 0' TERM INT
httpd -f -p "${PORT:-8080}" -h /www &
server=$!
echo "$(hostname) serves on port ${PORT:-8080}"
wait $server
EOS
chmod 755 "$root/bin/hello-web"

tar -C "$root" --owner=0 --group=0 -c . | docker import -c 'CMD ["/bin/hello-web"]' -c 'ENV PATH=/bin' - "$tag"
