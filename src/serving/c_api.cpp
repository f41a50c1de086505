#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/instruction_set.hpp"
#include "ecseq/ecseq.h"
#include "ecseq/serving/live_scorer.hpp"

struct ecseq_scorer {
  ecseq::serving::Scorer scorer;
};
struct ecseq_live {
  ecseq::serving::LiveScorer live;
};

namespace {

using namespace ecseq;
using namespace ecseq::serving;

std::string& last_error() {
  thread_local std::string message;
  return message;
}

ecseq_status failed(ecseq_status status, const char* message) noexcept {
  try {
    last_error() = message;
  } catch (...) {  // no memory for the message: the code must do
  }
  return status;
}

/// Runs `work`, which returns a status or nothing, and turns what it throws into a code.
template <class Work>
ecseq_status guarded(const Work& work) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      return ECSEQ_OK;
    } else {
      return work();
    }
  } catch (const FileError& error) {
    return failed(ECSEQ_FILE_ERROR, error.what());
  } catch (const InvalidArgument& error) {
    return failed(ECSEQ_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    return failed(ECSEQ_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return failed(ECSEQ_INTERNAL, error.what());
  } catch (...) {
    return failed(ECSEQ_INTERNAL, "an unknown failure");
  }
}

void require(bool good, const char* message) {
  if (!good) throw InvalidArgument(message);
}

/// As the library takes them, until the thread asks for others.
EntityKeys keys_of(const ecseq_keys* entities, std::size_t n) {
  thread_local std::vector<std::span<const relation::EntityKey>> keys;
  require(entities != nullptr || n == 0, "entities: NULL, but n_entities is not 0");
  keys.clear();
  for (std::size_t e = 0; e < n; ++e) {
    require(entities[e].keys != nullptr || entities[e].size == 0,
            "entities: keys is NULL, but size is not 0");
    keys.push_back({entities[e].keys, entities[e].size});
  }
  return keys;
}

Event event_of(const ecseq_event* event) {
  require(event != nullptr, "event: NULL");
  require(event->struct_size >= sizeof(ecseq_event), "event: struct_size is too small");
  require(event->values != nullptr || event->n_values == 0, "event: values is NULL");
  return {
      {event->values, event->n_values}, event->time, keys_of(event->entities, event->n_entities)};
}

Request request_of(const ecseq_request* request) {
  require(request != nullptr, "request: NULL");
  require(request->struct_size >= sizeof(ecseq_request), "request: struct_size is too small");
  require(request->events != nullptr, "request: events is NULL");
  Request out;
  out.events = {request->events, static_cast<Index>(request->length),
                static_cast<Index>(request->n_features)};
  if (request->times != nullptr) out.times = {request->times, request->length};
  out.time = request->time;
  out.entities = keys_of(request->entities, request->n_entities);
  return out;
}

/// A reload may have come between the check of the room and the score.
void write(const Score& score, float* values, std::size_t n) {
  require(score.values.size() <= n, "values: fewer than the model has outputs");
  std::copy(score.values.begin(), score.values.end(), values);
}

void require_room(const Scorer& scorer, const float* values, std::size_t n) {
  require(values != nullptr, "values: NULL");
  require(n >= static_cast<std::size_t>(scorer.n_outputs()),
          "values: fewer than the model has outputs");
}

std::span<std::byte> block_of(void* state, std::size_t size) {
  require(state != nullptr, "state: NULL");
  return {static_cast<std::byte*>(state), size};
}

}  // namespace

extern "C" {

uint32_t ecseq_abi_version(void) { return ECSEQ_ABI_VERSION; }
const char* ecseq_version(void) { return ECSEQ_VERSION; }
const char* ecseq_instruction_set(void) { return ecseq::instruction_set().data(); }
const char* ecseq_last_error(void) { return last_error().c_str(); }

uint64_t ecseq_key_of_text(const char* text, size_t size) {
  return relation::entity_key(std::string_view(text == nullptr ? "" : text, text ? size : 0));
}
uint64_t ecseq_key_of_integer(int64_t id) { return relation::entity_key(id); }
uint64_t ecseq_event_id(uint64_t user, double time) { return event_id(user, time); }

ecseq_status ecseq_scorer_load(const char* path, int64_t window, ecseq_scorer** out) {
  return guarded([&] {
    require(path != nullptr, "path: NULL");
    require(out != nullptr, "out: NULL");
    *out = new ecseq_scorer{Scorer::load(path, {window})};
  });
}
void ecseq_scorer_free(ecseq_scorer* scorer) { delete scorer; }

size_t ecseq_scorer_n_outputs(const ecseq_scorer* scorer) {
  return static_cast<size_t>(scorer->scorer.n_outputs());
}
size_t ecseq_scorer_n_features(const ecseq_scorer* scorer) {
  return static_cast<size_t>(scorer->scorer.n_features());
}
size_t ecseq_scorer_n_entities(const ecseq_scorer* scorer) {
  return scorer->scorer.entity_names().size();
}
const char* ecseq_scorer_entity_name(const ecseq_scorer* scorer, size_t relation) {
  const auto& names = scorer->scorer.entity_names();
  return relation < names.size() ? names[relation].c_str() : nullptr;
}

ecseq_status ecseq_score(const ecseq_scorer* scorer, const ecseq_request* request, float* values,
                         size_t n_values) {
  return guarded([&] {
    require(scorer != nullptr, "scorer: NULL");
    require_room(scorer->scorer, values, n_values);
    write(scorer->scorer.score(request_of(request), Workspace::of_this_thread()), values, n_values);
  });
}

size_t ecseq_state_size(const ecseq_scorer* scorer) {
  return scorer->scorer.model().encoder() ? scorer->scorer.state_size() : 0;
}

ecseq_status ecseq_state_start(const ecseq_scorer* scorer, uint64_t user, void* state,
                               size_t size) {
  return guarded([&] {
    require(scorer != nullptr, "scorer: NULL");
    scorer->scorer.start(block_of(state, size), user);
  });
}

ecseq_status ecseq_state_update(const ecseq_scorer* scorer, void* state, size_t size,
                                const ecseq_event* event, float* values, size_t n_values) {
  return guarded([&] {
    require(scorer != nullptr, "scorer: NULL");
    require_room(scorer->scorer, values, n_values);
    write(
        scorer->scorer.update(block_of(state, size), event_of(event), Workspace::of_this_thread()),
        values, n_values);
  });
}

ecseq_status ecseq_state_to_bytes(const ecseq_scorer* scorer, const void* state, size_t size,
                                  void* bytes) {
  return guarded([&] {
    require(scorer != nullptr && state != nullptr && bytes != nullptr, "state or bytes: NULL");
    const std::span<const std::byte> block(static_cast<const std::byte*>(state), size);
    require(scorer->scorer.accepts(block), "state: not one of this model's encoder");
    State copy(size);
    std::copy(block.begin(), block.end(), copy.block().begin());
    const std::vector<std::byte> out = copy.bytes();
    std::copy(out.begin(), out.end(), static_cast<std::byte*>(bytes));
  });
}

ecseq_status ecseq_state_from_bytes(const ecseq_scorer* scorer, const void* bytes, size_t size,
                                    void* state) {
  return guarded([&] {
    require(scorer != nullptr && state != nullptr && bytes != nullptr, "state or bytes: NULL");
    const State read = State::from_bytes({static_cast<const std::byte*>(bytes), size});
    require(scorer->scorer.accepts(read.block()), "state: not one of this model's encoder");
    std::copy(read.block().begin(), read.block().end(), static_cast<std::byte*>(state));
  });
}

ecseq_status ecseq_live_open(const char* model_path, const ecseq_live_options* options,
                             ecseq_live** out) {
  return guarded([&] {
    require(model_path != nullptr, "model_path: NULL");
    require(out != nullptr, "out: NULL");
    LiveOptions chosen;
    if (options != nullptr) {
      require(options->struct_size >= sizeof(ecseq_live_options),
              "options: struct_size is too small");
      chosen.scorer.window = options->window;
      chosen.max_users = options->max_users;
      if (options->max_waiting_events > 0) {
        chosen.entities.max_pending = options->max_waiting_events;
      }
      chosen.entities.labels_on_arrival = options->labels_on_arrival != 0;
      if (options->reads_model_file != 0) chosen.scorer.file_access = io::FileAccess::kRead;
    }
    *out = new ecseq_live{LiveScorer(model_path, chosen)};
  });
}
void ecseq_live_free(ecseq_live* live) { delete live; }

ecseq_status ecseq_live_event(ecseq_live* live, uint64_t user, uint64_t event_id,
                              const ecseq_event* event, float* values, size_t n_values) {
  return guarded([&] {
    require(live != nullptr, "live: NULL");
    require_room(live->live.current()->scorer, values, n_values);
    write(live->live.on_event(user, event_of(event), event_id, Workspace::of_this_thread()), values,
          n_values);
  });
}

ecseq_status ecseq_live_label(ecseq_live* live, uint64_t event_id, double label, double now) {
  return guarded([&] {
    require(live != nullptr, "live: NULL");
    if (live->live.label(event_id, label, now)) return ECSEQ_OK;
    return failed(ECSEQ_NOT_FOUND, "label: no such event waits for one");
  });
}

ecseq_status ecseq_live_score(const ecseq_live* live, const ecseq_request* request, float* values,
                              size_t n_values) {
  return guarded([&] {
    require(live != nullptr, "live: NULL");
    require_room(live->live.current()->scorer, values, n_values);
    write(live->live.score(request_of(request), Workspace::of_this_thread()), values, n_values);
  });
}

ecseq_status ecseq_live_reload(ecseq_live* live, const char* model_path) {
  return guarded([&] {
    require(live != nullptr && model_path != nullptr, "live or model_path: NULL");
    live->live.reload(model_path);
  });
}
ecseq_status ecseq_live_save(const ecseq_live* live, const char* folder) {
  return guarded([&] {
    require(live != nullptr && folder != nullptr, "live or folder: NULL");
    live->live.save(folder);
  });
}
ecseq_status ecseq_live_restore(ecseq_live* live, const char* folder) {
  return guarded([&] {
    require(live != nullptr && folder != nullptr, "live or folder: NULL");
    live->live.restore(folder);
  });
}

ecseq_status ecseq_live_get_status(const ecseq_live* live, double now, ecseq_live_status* status) {
  return guarded([&] {
    require(live != nullptr && status != nullptr, "live or status: NULL");
    require(status->struct_size >= sizeof(ecseq_live_status), "status: struct_size is too small");
    const LiveScorer::Current version = live->live.current();
    status->model_version = version->number;
    status->encoder_id = version->scorer.encoder_id();
    status->users = version->users ? version->users->size() : 0;
    status->users_evicted = version->users ? version->users->evicted() : 0;
    status->waiting_events = version->entities ? version->entities->pending() : 0;
    status->staleness = live->live.staleness(now);
  });
}

}  // extern "C"
