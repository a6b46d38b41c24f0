package dev.trunkline.error;

/** A named producer was opened again, somewhere else: this one must not send any more. */
public final class ProducerFencedException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;
  private final String producer;
  private final long epoch;

  /**
   * Creates the exception.
   *
   * @param queue the name of the queue
   * @param producer the name of the producer
   * @param epoch of the producer that was fenced
   */
  public ProducerFencedException(String queue, String producer, long epoch) {
    super(
        "producer \"%s\" of queue \"%s\" was opened again: epoch %d must not send any more"
            .formatted(producer, queue, epoch),
        null);
    this.queue = queue;
    this.producer = producer;
    this.epoch = epoch;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** The name of the producer. */
  public String producer() {
    return producer;
  }

  /** The epoch of the producer that was fenced. */
  public long epoch() {
    return epoch;
  }
}
