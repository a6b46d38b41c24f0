package dev.trunkline.topic;

/** How the members of a group share its records. The names are what stands in the column. */
enum GroupKind {
  /** By partitions, each read in order by one member at a time. */
  ORDERED,

  /** Record by record, in no order. */
  SHARED
}
