package dev.trunkline.queue;

/** A delivery and what becomes of it. */
record Settlement(Delivery delivery, Verdict verdict) {
  @Override
  public String toString() {
    return delivery.toString();
  }
}
