package dev.trunkline.topic;

/**
 * What a shared group has still to do in one partition, at one moment.
 *
 * @param partition the partition, 0 and up
 * @param ready records that nobody has claimed yet
 * @param inFlight claimed, and not settled
 * @param waiting failed or released, to be delivered again
 */
public record SharedLag(int partition, long ready, long inFlight, long waiting) {

  /** All of it, in records. */
  public long records() {
    return ready + inFlight + waiting;
  }
}
