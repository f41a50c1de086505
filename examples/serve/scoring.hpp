#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "ecseq/serving/live_scorer.hpp"
#include "messages.hpp"

namespace service {

struct ScoringOptions {
  std::string model;                  ///< path of the model file
  std::vector<std::string> features;  ///< their names, where the model file does not say them
  std::string state;                  ///< folder of the snapshots; empty: none are kept
  ecseq::serving::LiveOptions live;
};

/// Outputs as the estimator says them: the probability of the second class, of every class, or the
/// value.
struct Scored {
  std::vector<float> score;
  std::vector<float> base;  ///< of the base alone, not calibrated
};

/// What /health and /metrics say.
struct Status {
  struct Entity {
    std::string name;
    Index size = 0;
  };
  std::string model_id;
  std::optional<double> staleness;  ///< seconds since an entity's newest event, where there is any
  std::uint64_t users = 0;
  std::uint64_t evicted = 0;    ///< users forgotten because there were too many
  std::uint64_t restarted = 0;  ///< users whose state was another encoder's
  std::vector<Entity> entities;
  std::uint64_t waiting_events = 0;    ///< for their label
  std::uint64_t forgotten_events = 0;  ///< that waited too long
  std::uint64_t reloads = 0;
  std::uint64_t failed_reloads = 0;
};

/// What is known of the model in service beside its scorer.
struct Served {
  Schema schema;
  std::string id;  ///< checksum of the model file, hexadecimal
};

/// A LiveScorer that is spoken to in messages. Any number of threads.
class Scoring {
 public:
  /// Loads the model, and snapshots where there are any. Throws FileError where one is damaged or
  /// of another model.
  explicit Scoring(const ScoringOptions& options);

  /// What messages are read by. As long as it lives, that is what the model in service wants.
  class Reading {
   public:
    const Schema& schema() const { return served_->schema; }

   private:
    friend class Scoring;
    std::shared_lock<std::shared_mutex> lock_;
    std::shared_ptr<const Served> served_;
  };
  Reading read() const;

  // Of messages read by `reading`. Throw InvalidArgument for what does not fit the model, with
  // nothing changed.

  /// Scores the user's events with this one, as entities were before it; then they see it.
  Scored on_event(const Reading& reading, const EventMessage& event);
  /// false: no event of this id waits for a label.
  bool on_label(const Reading& reading, const LabelMessage& label);
  /// Changes nothing.
  Scored score(const Reading& reading, const ScoreMessage& request) const;
  /// Changes nothing.
  ecseq::pipeline::Explanation explain(const Reading& reading, const ExplainMessage& request) const;

  /// Loads the model file again and puts it in service; where that fails what is in service stays
  /// and the reason is returned, else an empty text.
  std::string reload();
  /// Writes the snapshots. Throws FileError.
  void save() const;
  Status status() const;

 private:
  struct File {
    ecseq::serving::Scorer scorer;
    std::shared_ptr<const Served> served;
  };
  static File load(const ScoringOptions& options);
  Scoring(const ScoringOptions& options, File file);

  ScoringOptions options_;
  ecseq::serving::LiveScorer live_;
  std::atomic<std::shared_ptr<const Served>> served_;
  /// Held alone only while a model of another schema takes over.
  mutable std::shared_mutex schema_;
  std::atomic<std::uint64_t> restarted_{0};
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<std::uint64_t> failed_reloads_{0};
};

}  // namespace service
