package dev.trunkline.topic;

/** A delivery of a shared group and what becomes of it. */
record SharedSettlement(SharedDelivery delivery, Verdict verdict) {
  @Override
  public String toString() {
    return delivery.toString();
  }
}
