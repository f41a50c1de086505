/* The C interface of ecseq's online scoring: for C, and for whatever language calls C.
 *
 * Stable: functions and structures of ABI version 1 stay as they are; new ones are added. Structures
 * that a caller fills begin with their size, so that fields can be added at their end.
 *
 * Every function that can fail returns ECSEQ_OK or a code; the message of the last failure on the
 * calling thread is in ecseq_last_error(). What a failed call was to change is unchanged. No C++
 * exception leaves the library. Objects may be used by several threads at once unless it says
 * otherwise; each must be freed once, by its own function, which accepts NULL. */
#ifndef ECSEQ_ECSEQ_H
#define ECSEQ_ECSEQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ECSEQ_ABI_VERSION 1

typedef enum ecseq_status {
  ECSEQ_OK = 0,
  ECSEQ_INVALID_ARGUMENT = 1, /* an argument does not fit; the message names it */
  ECSEQ_FILE_ERROR = 2,       /* a file or bytes are missing, damaged or of another version */
  ECSEQ_NOT_FOUND = 3,        /* no such user, or no event that waits for this label */
  ECSEQ_OUT_OF_MEMORY = 4,
  ECSEQ_INTERNAL = 5
} ecseq_status;

/* ECSEQ_ABI_VERSION of the library that runs; the library's own version, as "0.1.0"; the
 * instruction set it runs with, as "x86-64-v4". */
uint32_t ecseq_abi_version(void);
const char* ecseq_version(void);
const char* ecseq_instruction_set(void);
/* Of the calling thread; "" before any failure. Valid until the thread's next failure. */
const char* ecseq_last_error(void);

/* The key of an entity or user: of a text of `size` bytes, or of an integer, which counts as its
 * decimal digits. Never 0, which stands for "none". */
uint64_t ecseq_key_of_text(const char* text, size_t size);
uint64_t ecseq_key_of_integer(int64_t id);
/* The number of an event that has none of its own. */
uint64_t ecseq_event_id(uint64_t user, double time);

/* The keys of one entity relation: one, or, for a relation over sets, any number; none: size 0. */
typedef struct ecseq_keys {
  const uint64_t* keys;
  size_t size;
} ecseq_keys;

typedef struct ecseq_event {
  size_t struct_size;         /* sizeof(ecseq_event) */
  const float* values;        /* [n_features] */
  size_t n_values;
  double time;                /* seconds since 1970 */
  const ecseq_keys* entities; /* [n_entities], in the order of ecseq_scorer_entity_name; or NULL */
  size_t n_entities;
} ecseq_event;

typedef struct ecseq_request {
  size_t struct_size;         /* sizeof(ecseq_request) */
  const float* events;        /* [length, n_features], oldest first; of a model on embeddings [1, h] */
  size_t length;
  size_t n_features;
  const double* times;        /* [length] or NULL */
  double time;                /* as of when entities are asked */
  const ecseq_keys* entities; /* as above */
  size_t n_entities;
} ecseq_request;

/* ---- A frozen model ---- */

typedef struct ecseq_scorer ecseq_scorer;

/* window: events that a streaming state holds; 0: all that came before, where the encoder can.
 * The file is mapped, so that processes share it: replace it by renaming another onto its name,
 * never write it in place while it is in use. */
ecseq_status ecseq_scorer_load(const char* path, int64_t window, ecseq_scorer** out);
void ecseq_scorer_free(ecseq_scorer* scorer);

size_t ecseq_scorer_n_outputs(const ecseq_scorer* scorer);
size_t ecseq_scorer_n_features(const ecseq_scorer* scorer);
size_t ecseq_scorer_n_entities(const ecseq_scorer* scorer);
const char* ecseq_scorer_entity_name(const ecseq_scorer* scorer, size_t relation); /* NULL beyond */

/* values: [n_values >= n_outputs], the probability of the second class, of every class, or the
 * value. Takes nothing from the heap after a thread's first calls. */
ecseq_status ecseq_score(const ecseq_scorer* scorer, const ecseq_request* request, float* values,
                         size_t n_values);

/* A user's state: `state_size` bytes of the caller's, used by one thread at a time. */
size_t ecseq_state_size(const ecseq_scorer* scorer); /* 0 for a model without encoder */
ecseq_status ecseq_state_start(const ecseq_scorer* scorer, uint64_t user, void* state, size_t size);
ecseq_status ecseq_state_update(const ecseq_scorer* scorer, void* state, size_t size,
                                const ecseq_event* event, float* values, size_t n_values);
/* To and from bytes to be stored, of the same size: with a checksum, which reading verifies. */
ecseq_status ecseq_state_to_bytes(const ecseq_scorer* scorer, const void* state, size_t size,
                                  void* bytes);
ecseq_status ecseq_state_from_bytes(const ecseq_scorer* scorer, const void* bytes, size_t size,
                                    void* state);

/* ---- A live model: states of all users, memories of all entities, hot swap ---- */

typedef struct ecseq_live ecseq_live;

typedef struct ecseq_live_options {
  size_t struct_size;  /* sizeof(ecseq_live_options) */
  int64_t window;      /* as above */
  uint64_t max_users;  /* 0: no bound */
  uint64_t max_waiting_events; /* events that wait for their label; 0: the default */
  int labels_on_arrival; /* 0: known as late as in training; else at once */
  int reads_model_file;  /* 0: mapped, as above; else read into memory of the process's own */
} ecseq_live_options;

/* options: may be NULL. */
ecseq_status ecseq_live_open(const char* model_path, const ecseq_live_options* options,
                             ecseq_live** out);
void ecseq_live_free(ecseq_live* live);

/* Reads an event, scores it as of its moment, then lets its entities know of it. */
ecseq_status ecseq_live_event(ecseq_live* live, uint64_t user, uint64_t event_id,
                              const ecseq_event* event, float* values, size_t n_values);
/* ECSEQ_NOT_FOUND where no such event waits for a label. */
ecseq_status ecseq_live_label(ecseq_live* live, uint64_t event_id, double label, double now);
/* Without touching any state. */
ecseq_status ecseq_live_score(const ecseq_live* live, const ecseq_request* request, float* values,
                              size_t n_values);
/* Another model file in the place of this one while scoring goes on; a bad one changes nothing. */
ecseq_status ecseq_live_reload(ecseq_live* live, const char* model_path);
/* Writes to and reads from a folder, each file replaced as a whole or not at all. */
ecseq_status ecseq_live_save(const ecseq_live* live, const char* folder);
ecseq_status ecseq_live_restore(ecseq_live* live, const char* folder);

typedef struct ecseq_live_status {
  size_t struct_size;     /* sizeof(ecseq_live_status), set by the caller */
  uint64_t model_version; /* 1, 2 after a reload, ... */
  uint64_t encoder_id;
  uint64_t users;
  uint64_t users_evicted;
  uint64_t waiting_events;
  double staleness;       /* seconds between `now` and the newest event the entities saw */
} ecseq_live_status;
ecseq_status ecseq_live_get_status(const ecseq_live* live, double now, ecseq_live_status* status);

#ifdef __cplusplus
}
#endif

#endif /* ECSEQ_ECSEQ_H */
