/**
 * For mocha's --require. A rejection that nobody handles ends the daemon, and mocha on its own
 * passes over it: here it fails the test during which it came up.
 */
process.on('unhandledRejection', (reason) => {
  throw reason;
});
