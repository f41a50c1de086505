#include <mutex>
#include <span>
#include <string_view>

#include "convert.hpp"
#include "convert_samples.hpp"
#include "ecseq/serving/live_scorer.hpp"
#include "register.hpp"

namespace ecseq::bindings {
namespace {

using serving::Scorer;
using serving::ScorerOptions;
using serving::StateHead;
using serving::Workspace;

/// A state that threads of Python may share: it is advanced without the GIL.
class SharedState {
 public:
  explicit SharedState(serving::State state) : state_(std::move(state)) {}

  template <class Use>
  auto with(Use&& use) {
    const py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    return use(state_);
  }
  StateHead head() {
    return with([](const serving::State& state) { return state.head(); });
  }

 private:
  serving::State state_;
  std::mutex mutex_;
};

py::bytes bytes_of(SharedState& shared) {
  const auto bytes = shared.with([](const serving::State& state) { return state.bytes(); });
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::unique_ptr<SharedState> state_of(const py::bytes& given) {
  const std::string_view text = given;
  return std::make_unique<SharedState>(
      serving::State::from_bytes(std::as_bytes(std::span(text.data(), text.size()))));
}

/// The keys of each relation's entities, with the arrays they lie in.
class HeldKeys {
 public:
  explicit HeldKeys(const py::list& keys) {
    for (const auto& column : keys) {
      const auto& array = arrays_.emplace_back(column.cast<KeyArray>());
      spans_.emplace_back(array.data(), static_cast<std::size_t>(array.size()));
    }
  }
  operator serving::EntityKeys() const { return spans_; }  // NOLINT: it is what they are held for

 private:
  std::vector<KeyArray> arrays_;
  std::vector<std::span<const relation::EntityKey>> spans_;
};

/// A request with the arrays it points into.
struct HeldRequest {
  HeldRequest(const FloatArray& given_events, const py::object& given_times, double time,
              const py::list& given_keys)
      : events(given_events),
        times(given_times.is_none() ? DoubleArray(0) : given_times.cast<DoubleArray>()),
        keys(given_keys),
        request{view(events), {times.data(), static_cast<std::size_t>(times.size())}, time, keys} {}

  FloatArray events;
  DoubleArray times;
  HeldKeys keys;
  serving::Request request;
};

/// One output as a number, several as an array. Takes the GIL where it is asked to.
py::object numbers(std::span<const float> values) {
  if (values.size() == 1) return py::float_(values.front());
  return FloatArray(static_cast<py::ssize_t>(values.size()), values.data());
}

/// What `score()` returns, which it computes without the GIL, in a workspace of the thread's own.
template <class Work>
py::object scored(Work&& score) {
  return numbers(released(score).values);
}

io::FileAccess access_of(bool map_file) {
  return map_file ? io::FileAccess::kMap : io::FileAccess::kRead;
}

Scorer scorer_of(const py::bytes& bytes, const std::string& origin, Index window) {
  const std::string_view text = bytes;
  return released([&] { return Scorer::from_bytes(text, origin, {.window = window}); });
}

void register_live_scorer(py::module_& m) {
  using serving::LiveScorer;
  py::class_<LiveScorer>(m, "LiveScorer")
      .def(py::init([](const std::string& path, Index window, std::size_t max_users,
                       std::size_t max_pending, bool labels_on_arrival, bool map_file) {
             serving::LiveOptions options;
             options.scorer.window = window;
             options.scorer.file_access = access_of(map_file);
             options.max_users = max_users;
             options.entities.max_pending = max_pending;
             options.entities.labels_on_arrival = labels_on_arrival;
             return released([&] { return std::make_unique<LiveScorer>(path, options); });
           }),
           py::arg("path"), py::arg("window"), py::arg("max_users"), py::arg("max_pending"),
           py::arg("labels_on_arrival"), py::arg("map_file"))
      .def(
          "on_event",
          [](LiveScorer& live, std::uint64_t user, std::uint64_t event_id, const FloatArray& event,
             double time, const py::list& keys) {
            const HeldKeys entities(keys);
            const serving::Event happened{
                {event.data(), static_cast<std::size_t>(event.size())}, time, entities};
            return scored([&] {
              return live.on_event(user, happened, event_id, Workspace::of_this_thread());
            });
          },
          py::arg("user"), py::arg("event_id"), py::arg("event"), py::arg("time"), py::arg("keys"))
      .def("label", &LiveScorer::label, py::arg("event_id"), py::arg("y"), py::arg("now"),
           py::call_guard<py::gil_scoped_release>())
      .def(
          "score",
          [](const LiveScorer& live, const FloatArray& events, const py::object& times, double time,
             const py::list& keys) {
            const HeldRequest held(events, times, time, keys);
            return scored([&] { return live.score(held.request, Workspace::of_this_thread()); });
          },
          py::arg("events"), py::arg("times"), py::arg("time"), py::arg("keys"))
      .def(
          "explain",
          [](const LiveScorer& live, const FloatArray& events, const py::object& times, double time,
             const py::list& keys, Index top, const std::string& method) {
            const HeldRequest held(events, times, time, keys);
            return to_python(released([&] { return live.explain(held.request, top, method); }));
          },
          py::arg("events"), py::arg("times"), py::arg("time"), py::arg("keys"), py::arg("top"),
          py::arg("method"))
      .def(
          "explain_event",
          [](const LiveScorer& live, std::uint64_t user, const FloatArray& event, double time,
             const py::list& keys, Index top, const std::string& method) {
            const HeldKeys entities(keys);
            const serving::Event happened{
                {event.data(), static_cast<std::size_t>(event.size())}, time, entities};
            return to_python(released([&] { return live.explain(user, happened, top, method); }));
          },
          py::arg("user"), py::arg("event"), py::arg("time"), py::arg("keys"), py::arg("top"),
          py::arg("method"))
      .def("reload", &LiveScorer::reload, py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def("save", &LiveScorer::save, py::arg("folder"), py::call_guard<py::gil_scoped_release>())
      .def("restore", &LiveScorer::restore, py::arg("folder"),
           py::call_guard<py::gil_scoped_release>())
      .def("staleness", &LiveScorer::staleness, py::arg("now"))
      .def_property_readonly("scorer",
                             [](const LiveScorer& live) { return live.current()->scorer; })
      .def_property_readonly("version",
                             [](const LiveScorer& live) { return live.current()->number; })
      .def_property_readonly("n_users",
                             [](const LiveScorer& live) -> std::uint64_t {
                               const auto version = live.current();
                               return version->users ? version->users->size() : 0;
                             })
      .def_property_readonly("n_waiting", [](const LiveScorer& live) -> std::uint64_t {
        const auto version = live.current();
        return version->entities ? version->entities->pending() : 0;
      });
  m.def("event_id", &serving::event_id, py::arg("user"), py::arg("time"));
}

void register_state(py::module_& m) {
  py::class_<SharedState>(
      m, "State",
      "What a `Scorer` knows of one user after some events: see `Scorer.start` and\n"
      "`Scorer.update`. A flat block, which may be kept anywhere by its `bytes`.")
      .def_static("from_bytes", &state_of, py::arg("bytes"),
                  "from_bytes(bytes: bytes) -> State\n\n"
                  "The state that gave these `bytes`. Raises `ModelFileError` for truncated or\n"
                  "altered ones.")
      .def_property_readonly("bytes", &bytes_of, "The state with its checksum, to be stored.")
      .def_property_readonly(
          "events", [](SharedState& state) { return state.head().events; }, "Read so far.")
      .def_property_readonly(
          "time", [](SharedState& state) { return state.head().time; },
          "Of the latest event, in seconds.")
      .def_property_readonly(
          "user", [](SharedState& state) { return state.head().user; }, "As given to `start`.")
      .def_property_readonly(
          "encoder_id", [](SharedState& state) { return state.head().encoder; },
          "Of the scorer that started it.")
      .def(py::pickle(&bytes_of, &state_of));
}

}  // namespace

void register_serving(py::module_& m) {
  register_state(m);
  register_live_scorer(m);
  py::class_<Scorer>(m, "Scorer")
      .def_static(
          "load",
          [](const std::string& path, Index window, bool map_file) {
            return Scorer::load(path, {.window = window, .file_access = access_of(map_file)});
          },
          py::arg("path"), py::arg("window"), py::arg("map_file"),
          py::call_guard<py::gil_scoped_release>())
      .def_static("from_bytes", &scorer_of, py::arg("bytes"), py::arg("origin"), py::arg("window"))
      .def("to_bytes",
           [](const Scorer& scorer) {
             return py::bytes(released([&] { return scorer.model().to_bytes(); }));
           })
      .def(
          "score",
          [](const Scorer& scorer, const FloatArray& events, const py::object& times, double time,
             const py::list& keys) {
            const HeldRequest held(events, times, time, keys);
            return scored([&] { return scorer.score(held.request, Workspace::of_this_thread()); });
          },
          py::arg("events"), py::arg("times"), py::arg("time"), py::arg("keys"))
      .def(
          "score_batch",
          [](const Scorer& scorer, const py::object& x, const py::dict& entities,
             const py::object& times, int num_threads) {
            const HeldSamples held = to_samples(x, entities, times);
            return to_array(
                released([&] { return scorer.score_batch(held.samples, num_threads); }));
          },
          py::arg("x"), py::arg("entities"), py::arg("times"), py::arg("num_threads"))
      .def(
          "explain",
          [](const Scorer& scorer, const FloatArray& events, const py::object& times, double time,
             const py::list& keys, Index top, const std::string& method) {
            const HeldRequest held(events, times, time, keys);
            return to_python(
                released([&] { return scorer.explain(held.request, top, nullptr, method); }));
          },
          py::arg("events"), py::arg("times"), py::arg("time"), py::arg("keys"), py::arg("top"),
          py::arg("method"))
      .def(
          "start",
          [](const Scorer& scorer, std::uint64_t user) {
            return std::make_unique<SharedState>(scorer.start(user));
          },
          py::arg("user"))
      .def(
          "update",
          [](const Scorer& scorer, SharedState& shared, const FloatArray& event, double time,
             const py::list& keys) {
            const HeldKeys entities(keys);
            const serving::Event happened{
                {event.data(), static_cast<std::size_t>(event.size())}, time, entities};
            return numbers(shared
                               .with([&](serving::State& state) {
                                 return scorer.update(state.block(), happened,
                                                      Workspace::of_this_thread());
                               })
                               .values);
          },
          py::arg("state"), py::arg("event"), py::arg("time"), py::arg("keys"))
      .def_property_readonly("metadata",
                             [](const Scorer& scorer) { return scorer.model().options().metadata; })
      .def_property_readonly("task",
                             [](const Scorer& scorer) { return task_name(scorer.model().task()); })
      .def_property_readonly("n_classes",
                             [](const Scorer& scorer) { return scorer.model().n_classes(); })
      .def_property_readonly("n_features", &Scorer::n_features)
      .def_property_readonly("embedding_size", &Scorer::embedding_size)
      .def_property_readonly(
          "has_encoder", [](const Scorer& scorer) { return scorer.model().encoder().has_value(); })
      .def_property_readonly("reads_event_times", &Scorer::reads_event_times)
      .def_property_readonly("has_timed_entities", &Scorer::has_timed_entities)
      .def_property_readonly("entity_sets",
                             [](const Scorer& scorer) {
                               py::dict sets;
                               for (const auto& entity : scorer.model().options().entities) {
                                 sets[py::str(entity.by)] = entity.set;
                               }
                               return sets;
                             })
      .def_property_readonly("encoder_id", &Scorer::encoder_id)
      .def_property_readonly("state_size", &Scorer::state_size)
      .def_property_readonly("window", &Scorer::window);
}

}  // namespace ecseq::bindings
