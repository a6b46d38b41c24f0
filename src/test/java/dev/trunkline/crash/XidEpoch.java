package dev.trunkline.crash;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * Moves a stopped server's transaction ids four billion on, as {@code pg_resetwal -e} does, which
 * is not among the embedded binaries: the next xid stands in the checkpoint of the shutdown, the
 * last record of the log, and in the control file, which has a copy; only its upper half changes.
 */
final class XidEpoch {
  private static final int SEGMENT = 16 * 1024 * 1024;
  private static final int PAGE = 8192;

  /** Of ControlFileData: where the last checkpoint is in the log, and the copy of it. */
  private static final int CONTROL_CHECKPOINT = 32;

  private static final int CONTROL_COPY = 40;

  /** Of XLogRecord: its length, and its checksum, at the end of its header. */
  private static final int RECORD_CRC = 20;

  private static final int RECORD_HEADER = 24;

  /** A byte that says that there is data, and one with its length. */
  private static final int DATA_HEADER = 2;

  /** Of CheckPoint: the 64 bits of nextXid. */
  private static final int NEXT_XID = 24;

  private XidEpoch() {}

  /**
   * Raises it by one. Answers false if the record lies across two pages: then the server has to be
   * started and stopped once more.
   */
  static boolean raise(Path data) throws IOException {
    Path controlFile = data.resolve("global/pg_control");
    ByteBuffer control = little(Files.readAllBytes(controlFile));
    long checkpoint = control.getLong(CONTROL_CHECKPOINT);
    long segment = checkpoint / SEGMENT;
    int at = (int) (checkpoint % SEGMENT);
    Path file =
        data.resolve("pg_wal").resolve("%08X%08X%08X".formatted(1, segment / 256, segment % 256));
    ByteBuffer log = little(Files.readAllBytes(file));
    int length = log.getInt(at);
    if (at % PAGE + length > PAGE) {
      return false;
    }
    if (checksum(log, at, length) != log.getInt(at + RECORD_CRC)) {
      throw new IllegalStateException("there is no checkpoint at " + checkpoint);
    }
    raise(log, at + RECORD_HEADER + DATA_HEADER + NEXT_XID);
    log.putInt(at + RECORD_CRC, checksum(log, at, length));
    Files.write(file, log.array());
    int controlCrc = checksumAt(control);
    raise(control, CONTROL_COPY + NEXT_XID);
    control.putInt(controlCrc, checksum(control, controlCrc));
    Files.write(controlFile, control.array());
    return true;
  }

  private static void raise(ByteBuffer buffer, int nextXid) {
    buffer.putLong(nextXid, buffer.getLong(nextXid) + (1L << 32));
  }

  /** The control file's checksum is its last field, which each version has elsewhere. */
  private static int checksumAt(ByteBuffer control) {
    for (int at = CONTROL_COPY; at < 1024; at += Integer.BYTES) {
      if (control.getInt(at) != 0 && control.getInt(at) == checksum(control, at)) {
        return at;
      }
    }
    throw new IllegalStateException("the control file has no checksum");
  }

  private static int checksum(ByteBuffer control, int length) {
    CRC32C crc = new CRC32C();
    crc.update(control.array(), 0, length);
    return (int) crc.getValue();
  }

  /** Over the data first, then over the header up to the checksum itself. */
  private static int checksum(ByteBuffer log, int at, int length) {
    CRC32C crc = new CRC32C();
    crc.update(log.array(), at + RECORD_HEADER, length - RECORD_HEADER);
    crc.update(log.array(), at, RECORD_CRC);
    return (int) crc.getValue();
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
