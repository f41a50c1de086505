/* Scores events as they come, from C: one line of standard input per event,
 *
 *   user time value value ... [@entity @entity ...]
 *
 * with as many values as the model has features and an id for each of its entity relations, in the
 * order it names them; and "label user time y" where a label comes in. Prints a score per event.
 *
 *   score_events model.ecseq < events.txt */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecseq/ecseq.h"

enum { MAX_VALUES = 256, MAX_ENTITIES = 16 };

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, ecseq_last_error());
  return 1;
}

static uint64_t key_of(const char* text) { return ecseq_key_of_text(text, strlen(text)); }

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: score_events model.ecseq < events.txt\n");
    return 2;
  }
  if (ecseq_abi_version() != ECSEQ_ABI_VERSION) {
    fprintf(stderr, "this program was compiled for another version of the library\n");
    return 1;
  }
  ecseq_live* live = NULL;
  if (ecseq_live_open(argv[1], NULL, &live) != ECSEQ_OK) return fail(argv[1]);

  char line[1 << 14];
  int status = 0;
  while (status == 0 && fgets(line, sizeof line, stdin) != NULL) {
    char* word = strtok(line, " \t\n");
    if (word == NULL) continue;
    if (strcmp(word, "label") == 0) {
      const char* user = strtok(NULL, " \t\n");
      const char* time = strtok(NULL, " \t\n");
      const char* label = strtok(NULL, " \t\n");
      if (user == NULL || time == NULL || label == NULL) {
        fprintf(stderr, "label: expected user, time and label\n");
        status = 1;
        continue;
      }
      const double moment = atof(time);
      const ecseq_status found =
          ecseq_live_label(live, ecseq_event_id(key_of(user), moment), atof(label), moment);
      if (found == ECSEQ_NOT_FOUND) {
        fprintf(stderr, "label of %s at %s: no such event\n", user, time);
      } else if (found != ECSEQ_OK) {
        status = fail("label");
      }
      continue;
    }

    const uint64_t user = key_of(word);
    float values[MAX_VALUES];
    uint64_t ids[MAX_ENTITIES];
    ecseq_keys entities[MAX_ENTITIES];
    ecseq_event event;
    memset(&event, 0, sizeof event);
    event.struct_size = sizeof event;
    event.values = values;
    event.entities = entities;
    word = strtok(NULL, " \t\n");
    event.time = word == NULL ? 0.0 : atof(word);
    while ((word = strtok(NULL, " \t\n")) != NULL) {
      if (word[0] == '@' && event.n_entities < MAX_ENTITIES) {
        ids[event.n_entities] = key_of(word + 1);
        entities[event.n_entities].keys = &ids[event.n_entities];
        entities[event.n_entities].size = 1;
        ++event.n_entities;
      } else if (word[0] != '@' && event.n_values < MAX_VALUES) {
        values[event.n_values++] = strtof(word, NULL);
      }
    }
    float score[1];
    if (ecseq_live_event(live, user, ecseq_event_id(user, event.time), &event, score, 1) !=
        ECSEQ_OK) {
      status = fail("event");
    } else {
      printf("%.6f\n", score[0]);
    }
  }
  ecseq_live_free(live);
  return status;
}
