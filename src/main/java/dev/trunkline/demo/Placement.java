package dev.trunkline.demo;

/** What became of an order that was sent to the order service. */
enum Placement {
  /** It is committed, with its event. */
  ACCEPTED,

  /** It was committed before, by this process or an earlier one; nothing was published again. */
  KNOWN,

  /** Another order was committed under its id; nothing was published. */
  CONFLICTING
}
