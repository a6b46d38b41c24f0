package dev.trunkline.topic;

import dev.trunkline.Trunkline;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Plays a list of moves on real connections, one after the other, so that the same list does the
 * same; then ends everything, reads to the end, and compares. Not thread-safe; played once.
 */
final class Interleaving {
  private static final int TRANSACTIONS = 5;
  private static final int PROCESSES = 2;
  private static final int READERS = 3;
  private static final int MANY = 450;
  private static final String[] KEYS = {"a", "b", "c"};

  private final TestDatabase database;
  private final Topic topic;
  private final TopicRow row;
  private final Database own;
  private final LogModel model = new LogModel();
  private final List<Transaction> transactions = new ArrayList<>();
  private final List<Process> processes = new ArrayList<>();
  private final Map<String, List<LogModel.Published>> prepared = new LinkedHashMap<>();
  private final List<Follower.ByOffset> readers = new ArrayList<>();
  private final Map<String, Follower> naive = new LinkedHashMap<>();
  private final List<String> complaints = new ArrayList<>();
  private final boolean prepares;
  private int now;

  /**
   * What was wrong.
   *
   * @param ofTheLog nothing, if it works
   * @param ofTheNaive by the name of the reader
   */
  record Verdict(List<String> ofTheLog, Map<String, List<String>> ofTheNaive) {}

  private Interleaving(Trunkline trunkline, TestDatabase database, String name) {
    this.database = database;
    this.topic = trunkline.topic(name, TopicConfig.defaults().withPartitions(2));
    this.own = new Database(database.dataSource());
    this.row = own.run(session -> TopicStore.find(session, name)).orElseThrow();
    this.prepares = database.number("SHOW max_prepared_transactions") >= TRANSACTIONS;
  }

  /** Plays the moves on a new topic, which is deleted afterwards. */
  static Verdict play(Trunkline trunkline, TestDatabase database, List<Move> moves)
      throws SQLException {
    Interleaving interleaving = new Interleaving(trunkline, database, "moves-" + System.nanoTime());
    try {
      interleaving.open();
      for (Move move : moves) {
        interleaving.now++;
        interleaving.make(move);
      }
      return interleaving.finish();
    } finally {
      interleaving.close();
      interleaving.topic.delete();
    }
  }

  /** One that publishes on a connection of its own. */
  private static final class Transaction {
    private final Connection connection;
    private final List<LogModel.Published> published = new ArrayList<>();

    /** Each with how many had been published before. */
    private final Deque<Map.Entry<Savepoint, Integer>> savepoints = new ArrayDeque<>();

    Transaction(Connection connection) {
      this.connection = connection;
    }

    List<LogModel.Published> taken() {
      List<LogModel.Published> taken = List.copyOf(published);
      published.clear();
      savepoints.clear();
      return taken;
    }
  }

  /**
   * One that sequences: by itself, or, so that others come in between, on a connection held open.
   */
  private static final class Process {
    private final Sequencer sequencer;
    private final Connection connection;
    private boolean inStep;
    private long floorId;

    Process(Sequencer sequencer, Connection connection) {
      this.sequencer = sequencer;
      this.connection = connection;
    }
  }

  private void open() throws SQLException {
    for (int i = 0; i < TRANSACTIONS; i++) {
      transactions.add(new Transaction(manual()));
    }
    for (int i = 0; i < PROCESSES; i++) {
      processes.add(new Process(new Sequencer(own, row), manual()));
    }
    LogReader reader = new LogReader(own);
    for (int i = 0; i < READERS; i++) {
      readers.add(new Follower.ByOffset(reader, row));
    }
    Connection looking = database.connect();
    naive.put("id", new Follower.Naive(looking, row.id(), Follower.Naive.BY_ID));
    naive.put("xmin", new Follower.Naive(looking, row.id(), Follower.Naive.BELOW_XMIN));
  }

  private Connection manual() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      // Nobody waits for anybody.
      statement.execute("SET lock_timeout = '5s'");
      statement.execute("SET max_parallel_workers_per_gather = 0");
    }
    connection.commit();
    return connection;
  }

  private void make(Move move) throws SQLException {
    Transaction transaction = transactions.get(move.actor() % TRANSACTIONS);
    Process process = processes.get(move.actor() % PROCESSES);
    switch (move.kind()) {
      case GET_XID -> execute(transaction.connection, "SELECT pg_current_xact_id()");
      case PUBLISH -> publish(transaction, 1 + move.value() % 3, key(move.value() / 3));
      case PUBLISH_MANY -> publish(transaction, MANY, key(move.value()));
      case SAVEPOINT ->
          transaction.savepoints.push(
              Map.entry(transaction.connection.setSavepoint(), transaction.published.size()));
      case ROLLBACK_TO_SAVEPOINT -> rollBackToSavepoint(transaction);
      case COMMIT -> {
        transaction.connection.commit();
        model.committed(transaction.taken(), now);
      }
      case ABORT -> {
        transaction.connection.rollback();
        transaction.taken();
      }
      case PREPARE -> prepare(transaction);
      case COMMIT_PREPARED -> endPrepared(move.value(), true);
      case ROLLBACK_PREPARED -> endPrepared(move.value(), false);
      case STEP -> process.sequencer.step();
      case BEGIN_STEP -> beginStep(process);
      case COMMIT_STEP -> endStep(process, true);
      case ABORT_STEP -> endStep(process, false);
      case READ -> {
        readers.get(move.actor() % READERS).look(1 + move.value() % 300);
        for (Follower follower : naive.values()) {
          follower.look(1 + move.value() % 300);
        }
      }
      case READ_AGAIN ->
          readers.get(move.actor() % READERS).lookBack(move.value(), 1 + move.value() % 300);
      case CLOSE_CHUNK -> closeChunk();
    }
  }

  private static @Nullable String key(int lot) {
    return lot % 4 == 3 ? null : KEYS[lot % 4];
  }

  private void publish(Transaction transaction, int count, @Nullable String key) {
    List<LogModel.Published> records =
        IntStream.range(0, count)
            .mapToObj(i -> new LogModel.Published(model.freshText(), key, now))
            .toList();
    topic.publishAll(transaction.connection, records.stream().map(Interleaving::message).toList());
    transaction.published.addAll(records);
  }

  private static Message message(LogModel.Published record) {
    Message message = Message.text(record.text());
    return record.key() == null ? message : message.withKey(record.key());
  }

  private static void rollBackToSavepoint(Transaction transaction) throws SQLException {
    Map.Entry<Savepoint, Integer> savepoint = transaction.savepoints.poll();
    if (savepoint != null) {
      transaction.connection.rollback(savepoint.getKey());
      transaction.published.subList(savepoint.getValue(), transaction.published.size()).clear();
    }
  }

  private void prepare(Transaction transaction) throws SQLException {
    if (prepares && !transaction.published.isEmpty()) {
      String name = row.name() + "-" + now;
      execute(transaction.connection, "PREPARE TRANSACTION '%s'".formatted(name));
      transaction.connection.commit();
      prepared.put(name, transaction.taken());
    }
  }

  private void endPrepared(int lot, boolean commit) {
    if (!prepared.isEmpty()) {
      String name = List.copyOf(prepared.keySet()).get(lot % prepared.size());
      database.execute("%s PREPARED '%s'".formatted(commit ? "COMMIT" : "ROLLBACK", name));
      List<LogModel.Published> records = prepared.remove(name);
      if (commit && records != null) {
        model.committed(records, now);
      }
    }
  }

  private void beginStep(Process process) {
    if (!process.inStep) {
      List<SequenceStore.Found> found =
          own.on(
              process.connection,
              session -> SequenceStore.sequence(session, row.id(), process.floorId));
      process.inStep = true;
      process.floorId = found.get(0).floorId();
    }
  }

  private static void endStep(Process process, boolean commit) throws SQLException {
    if (commit) {
      process.connection.commit();
    } else {
      process.connection.rollback();
    }
    process.inStep = false;
  }

  private void closeChunk() {
    long current =
        database.number(
            "SELECT coalesce(pg_sequence_last_value(id_sequence), 0) >> 40 FROM trunkline.topic WHERE id = ?",
            row.id());
    database.execute("SELECT trunkline.add_chunk(%d)".formatted(row.id()));
    database.execute("SELECT trunkline.close_chunk(%d, %d)".formatted(row.id(), current));
  }

  /** Everything open is committed, so that whatever could be lost would be. */
  private Verdict finish() throws SQLException {
    now++;
    for (Process process : processes) {
      endStep(process, true);
    }
    processes.get(0).sequencer.stepForSure();
    for (Transaction transaction : transactions) {
      transaction.connection.commit();
      model.committed(transaction.taken(), now);
    }
    while (!prepared.isEmpty()) {
      endPrepared(0, true);
    }
    processes.get(1).sequencer.stepForSure();
    for (Follower.ByOffset reader : readers) {
      reader.lookToTheEnd();
      complaints.addAll(reader.complaints());
      complaints.addAll(model.complaints(reader.delivered()));
    }
    Map<String, List<String>> ofTheNaive = new LinkedHashMap<>();
    for (Map.Entry<String, Follower> reader : naive.entrySet()) {
      reader.getValue().lookToTheEnd();
      ofTheNaive.put(reader.getKey(), model.complaints(reader.getValue().delivered()));
    }
    return new Verdict(complaints, ofTheNaive);
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private void close() throws SQLException {
    for (Transaction transaction : transactions) {
      transaction.connection.close();
    }
    for (Process process : processes) {
      process.connection.close();
    }
    for (String name : prepared.keySet()) {
      database.execute("ROLLBACK PREPARED '%s'".formatted(name));
    }
    for (Follower follower : naive.values()) {
      ((Follower.Naive) follower).close();
    }
  }
}
