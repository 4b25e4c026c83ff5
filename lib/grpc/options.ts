import type { ChannelOptions } from '@grpc/grpc-js';

/** A complete set of assignments for a node with thousands of tasks fits with room to spare. */
const messageBytesMax = 32 * 1024 * 1024;
/** Silence after which a connection is probed, and after which an unanswered probe ends it. */
const keepaliveTimeMs = 10_000;
const keepaliveTimeoutMs = 5_000;

const common: ChannelOptions = {
  'grpc.max_send_message_length': messageBytesMax,
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.keepalive_time_ms': keepaliveTimeMs,
  'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
  'grpc.enable_channelz': 0,
};

/** Retries are the callers' business, who know what is safe to do twice. */
export const channelOptions: ChannelOptions = {
  ...common,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

export const serverOptions: ChannelOptions = { ...common };
