/**
 * Where names are answered in a container's namespace. Programs ask 127.0.0.11:53, as in Docker; a
 * rule in the namespace leads both protocols on to `listenPort`, so that port 53 of the container
 * stays free for a name server of its own. Below the range that the kernel gives to clients.
 */
export const resolverAddress = '127.0.0.11';
export const askedPort = 53;
export const listenPort = 32_053;
