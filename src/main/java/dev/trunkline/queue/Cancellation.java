package dev.trunkline.queue;

/** What became of a {@link Queue#cancel(dev.trunkline.message.MessageId)}. */
public enum Cancellation {
  /** The message is gone: it will not be delivered, or not again. */
  CANCELLED,

  /** Nothing was changed: the message is in a consumer's hands, or is no longer there. */
  TOO_LATE
}
