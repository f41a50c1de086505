#include "scoring.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/io/input_file.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "schema.hpp"

namespace service {
namespace {

namespace serving = ecseq::serving;

/// How far a client's clock may be ahead of ours.
constexpr double kFuture = 86400.0;

double clock_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string read_file(const std::string& path) {
  ecseq::io::InputFile file(path);
  std::string bytes(file.size(), '\0');
  file.read(bytes.data(), bytes.size());
  return bytes;
}

std::string id_of(const std::string& bytes) {
  ecseq::io::Checksum checksum;
  checksum.add(bytes);
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(checksum.value()));
  return text;
}

/// The keys of an event as the library takes them.
class Keys {
 public:
  explicit Keys(const EntityIds& ids) : spans_(ids.begin(), ids.end()) {}
  operator serving::EntityKeys() const { return spans_; }  // NOLINT: a view of the same

 private:
  std::vector<std::span<const EntityKey>> spans_;
};

/// Logits as probabilities, of the second class where there are two; values as they are.
std::vector<float> probabilities(std::span<const float> outputs, ecseq::Task task) {
  if (task == ecseq::Task::kRegression) return {outputs.begin(), outputs.end()};
  const Eigen::Map<const ecseq::Matrix<float>> row(outputs.data(), 1, std::ssize(outputs));
  const ecseq::Matrix<float> of_classes = ecseq::pipeline::probabilities(task, row);
  const ecseq::Index first = task == ecseq::Task::kBinary ? 1 : 0;
  return {of_classes.data() + first, of_classes.data() + of_classes.size()};
}

Scored scored(const serving::Score& score, ecseq::Task task) {
  return {{score.values.begin(), score.values.end()}, probabilities(score.base, task)};
}

serving::Request request_of(const ScoreMessage& message, const Schema& schema, const Keys& keys) {
  return {{message.events.data(), message.length, schema.n_features},
          message.times,
          message.time,
          keys};
}

}  // namespace

Scoring::File Scoring::load(const ScoringOptions& options) {
  const std::string bytes = read_file(options.model);
  auto scorer = serving::Scorer::from_bytes(bytes, options.model, options.live.scorer);
  auto served =
      std::make_shared<const Served>(Served{schema_of(scorer, options.features), id_of(bytes)});
  return {std::move(scorer), std::move(served)};
}

Scoring::Scoring(const ScoringOptions& options) : Scoring(options, load(options)) {}

Scoring::Scoring(const ScoringOptions& options, File file)
    : options_(options),
      live_(std::move(file.scorer), options.live),
      served_(std::move(file.served)) {
  if (!options_.state.empty()) live_.restore(options_.state);
}

Scoring::Reading Scoring::read() const {
  Reading reading;
  reading.lock_ = std::shared_lock(schema_);
  reading.served_ = served_;
  return reading;
}

Scored Scoring::on_event(const Reading& reading, const EventMessage& message) {
  if (message.time > clock_now() + kFuture) {
    throw ecseq::InvalidArgument("time: more than a day ahead of the service's clock");
  }
  const Keys keys(message.entities);
  return scored(live_.on_event(message.user, {message.values, message.time, keys},
                               ecseq::relation::entity_key(message.event_id),
                               serving::Workspace::of_this_thread()),
                reading.schema().task);
}

bool Scoring::on_label(const Reading& reading, const LabelMessage& label) {
  const auto model = live_.current();
  if (reading.schema().entities.empty()) {
    throw ecseq::InvalidArgument("label: this model has no entities, which labels belong to");
  }
  // By the events' own clock, so that a stream of the past can be played again.
  return model->entities->label(ecseq::relation::entity_key(label.event_id), label.label,
                                model->entities->latest_time());
}

Scored Scoring::score(const Reading& reading, const ScoreMessage& message) const {
  const Keys keys(message.entities);
  return scored(live_.score(request_of(message, reading.schema(), keys),
                            serving::Workspace::of_this_thread()),
                reading.schema().task);
}

ecseq::pipeline::Explanation Scoring::explain(const Reading& reading,
                                              const ExplainMessage& message) const {
  if (const auto* const event = std::get_if<EventMessage>(&message.what)) {
    const Keys keys(event->entities);
    return live_.explain(event->user, {event->values, event->time, keys}, message.top);
  }
  const auto& history = std::get<ScoreMessage>(message.what);
  const Keys keys(history.entities);
  return live_.explain(request_of(history, reading.schema(), keys), message.top);
}

std::string Scoring::reload() {
  try {
    File file = load(options_);
    const auto before = live_.current();
    std::unique_lock lock(schema_, std::defer_lock);
    if (file.served->schema != served_.load()->schema) lock.lock();
    live_.replace(std::move(file.scorer));
    served_ = std::move(file.served);
    if (before->users && before->users != live_.current()->users) {
      restarted_.fetch_add(before->users->size(), std::memory_order_relaxed);
    }
    reloads_.fetch_add(1, std::memory_order_relaxed);
    return {};
  } catch (const std::exception& error) {
    failed_reloads_.fetch_add(1, std::memory_order_relaxed);
    return error.what();
  }
}

void Scoring::save() const {
  if (!options_.state.empty()) live_.save(options_.state);
}

Status Scoring::status() const {
  const auto model = live_.current();
  Status status;
  status.model_id = served_.load()->id;
  if (model->users) {
    status.users = model->users->size();
    status.evicted = model->users->evicted();
  }
  if (const auto* entities = model->entities.get()) {
    const double staleness = entities->staleness(clock_now());
    if (std::isfinite(staleness)) status.staleness = staleness;
    const auto& names = model->scorer.entity_names();
    for (std::size_t e = 0; e < names.size(); ++e) {
      status.entities.push_back({names[e], entities->size(e)});
    }
    status.waiting_events = entities->pending();
    status.forgotten_events = entities->forgotten();
  }
  status.restarted = restarted_.load(std::memory_order_relaxed);
  status.reloads = reloads_.load(std::memory_order_relaxed);
  status.failed_reloads = failed_reloads_.load(std::memory_order_relaxed);
  return status;
}

}  // namespace service
