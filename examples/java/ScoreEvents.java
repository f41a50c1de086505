// Scores events as they come, from Java (11 or later) through JNA: what ../c/score_events.c does,
// with the same lines of standard input.
//
//   java -cp jna.jar ScoreEvents.java model.ecseq < events.txt
//
// with the library where the system's loader finds it (LD_LIBRARY_PATH).

import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

public final class ScoreEvents {
  /** The functions of ecseq/ecseq.h called here; size_t is a long, as on 64-bit systems. */
  public interface Ecseq extends Library {
    int ABI_VERSION = 1;
    int OK = 0;
    int NOT_FOUND = 3;

    int ecseq_abi_version();

    String ecseq_last_error();

    long ecseq_key_of_text(byte[] text, long size);

    long ecseq_event_id(long user, double time);

    int ecseq_live_open(String path, Pointer options, PointerByReference live);

    void ecseq_live_free(Pointer live);

    int ecseq_live_event(
        Pointer live, long user, long eventId, Event event, float[] values, long nValues);

    int ecseq_live_label(Pointer live, long eventId, double label, double now);
  }

  /** ecseq_event. The memory it points to is kept and filled again for every event. */
  @Structure.FieldOrder({"struct_size", "values", "n_values", "time", "entities", "n_entities"})
  public static final class Event extends Structure {
    public long struct_size = size();
    public Pointer values;
    public long n_values;
    public double time;
    public Pointer entities;
    public long n_entities;

    private static final int KEYS_SIZE = Native.POINTER_SIZE + Native.SIZE_T_SIZE;
    private final int maxValues;
    private final int maxEntities;
    private final Memory keys; // of the entities, one for each relation

    Event(int maxValues, int maxEntities) {
      this.maxValues = maxValues;
      this.maxEntities = maxEntities;
      values = new Memory((long) maxValues * Float.BYTES);
      entities = new Memory((long) maxEntities * KEYS_SIZE);
      keys = new Memory((long) maxEntities * Long.BYTES);
      for (int i = 0; i < maxEntities; ++i) { // an array of ecseq_keys
        entities.setPointer((long) i * KEYS_SIZE, keys.share((long) i * Long.BYTES));
        entities.setLong((long) i * KEYS_SIZE + Native.POINTER_SIZE, 1);
      }
    }

    /** Makes it the event of a line: user, time, values and @entities. */
    void fill(String[] words) {
      time = Double.parseDouble(words[1]);
      n_values = 0;
      n_entities = 0;
      for (int i = 2; i < words.length; ++i) {
        if (words[i].startsWith("@")) {
          if (n_entities == maxEntities) throw new IllegalArgumentException("too many entities");
          keys.setLong(n_entities++ * Long.BYTES, keyOf(words[i].substring(1)));
        } else {
          if (n_values == maxValues) throw new IllegalArgumentException("too many values");
          values.setFloat(n_values++ * Float.BYTES, Float.parseFloat(words[i]));
        }
      }
    }
  }

  private static final Ecseq ECSEQ = Native.load("libecseq.so.0.1", Ecseq.class);

  static long keyOf(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return ECSEQ.ecseq_key_of_text(bytes, bytes.length);
  }

  /** Throws with the library's message, which is that of the calling thread. */
  static void check(int status) {
    if (status != Ecseq.OK) throw new IllegalStateException(ECSEQ.ecseq_last_error());
  }

  private static void label(Pointer live, String[] words) {
    double time = Double.parseDouble(words[2]);
    long event = ECSEQ.ecseq_event_id(keyOf(words[1]), time);
    int status = ECSEQ.ecseq_live_label(live, event, Double.parseDouble(words[3]), time);
    if (status == Ecseq.NOT_FOUND) {
      System.err.println("label of " + words[1] + " at " + words[2] + ": no such event");
    } else {
      check(status);
    }
  }

  private static float score(Pointer live, Event event, String[] words) {
    event.fill(words);
    long user = keyOf(words[0]);
    long id = ECSEQ.ecseq_event_id(user, event.time);
    float[] score = new float[1];
    check(ECSEQ.ecseq_live_event(live, user, id, event, score, score.length));
    return score[0];
  }

  private static void answerLines(Pointer live) throws IOException {
    Event event = new Event(256, 16); // of this thread
    var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.trim().split("\\s+");
      if (words[0].isEmpty()) continue;
      if (words[0].equals("label") && words.length == 4) {
        label(live, words);
      } else if (words.length > 1) {
        System.out.printf(Locale.ROOT, "%.6f%n", score(live, event, words));
      } else {
        throw new IllegalArgumentException("expected a user and a time");
      }
    }
  }

  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 1) {
      System.err.println("usage: ScoreEvents model.ecseq < events.txt");
      System.exit(2);
    }
    if (ECSEQ.ecseq_abi_version() != Ecseq.ABI_VERSION) {
      throw new IllegalStateException("made for another version of the library");
    }
    var live = new PointerByReference();
    check(ECSEQ.ecseq_live_open(arguments[0], null, live));
    try {
      answerLines(live.getValue());
    } finally {
      ECSEQ.ecseq_live_free(live.getValue());
    }
  }
}
