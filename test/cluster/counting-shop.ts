/** A web server that counts its requests, for busybox: `sh -c SHOP`. */
/** A web server that counts what is bought, and tells it as Prometheus wants it. */
export const shop = [
  'mkdir -p /www/cgi-bin',
  'cd /www/cgi-bin',
  String.raw`printf '#!/bin/sh\necho x >> /sold\nprintf "Content-Type: text/plain\\r\\n\\r\\nthanks"\n' > buy`,
  String.raw`printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\necho "http_requests_total{code=\"200\"} $(wc -l < /sold)"\n' > metrics`,
  'chmod 755 buy metrics',
  ': > /sold',
  'exec httpd -f -p 80 -h /www',
].join('; ');

export async function buy(address: string, port: number): Promise<void> {
  const url = `http://${address}:${port}/cgi-bin/buy`;
  // The mesh may need a moment, and a replica that has just begun, too.
  await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    (response) => response.arrayBuffer(),
    () => undefined,
  );
}
