package dev.trunkline.demo;

import java.util.concurrent.CountDownLatch;

/** A few daemon threads that do the same until each of them is done. Thread-safe. */
final class Crew {
  private final CountDownLatch atWork;

  private Crew(int size) {
    this.atWork = new CountDownLatch(size);
  }

  /** Sets so many threads to work. */
  static Crew start(String name, int size, Runnable work) {
    Crew crew = new Crew(size);
    for (int number = 1; number <= size; number++) {
      Thread thread = new Thread(() -> crew.run(work), name + "-" + number);
      thread.setDaemon(true);
      thread.start();
    }
    return crew;
  }

  /** Whether all are done. Daemons: one that reads a terminal may never be. */
  boolean isDone() {
    return atWork.getCount() == 0;
  }

  private void run(Runnable work) {
    try {
      work.run();
    } finally {
      atWork.countDown();
    }
  }
}
