package dev.trunkline.queue;

import dev.trunkline.internal.name.ValidName;

/** A valid name of a queue; everything below works with the queue's id. */
record QueueName(String value) {
  QueueName {
    value = ValidName.checked("name", value);
  }
}
