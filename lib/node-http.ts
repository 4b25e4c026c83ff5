/**
 * Node's HTTP without its WebSocket: an import statement reads every export of `node:http`, and with
 * them loads an HTTP client of 760 kB, 6 MB of every daemon's memory. Types may be imported as ever.
 */
export const http = process.getBuiltinModule('node:http');
