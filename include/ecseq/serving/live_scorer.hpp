#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ecseq/serving/entity_states.hpp"
#include "ecseq/serving/model_slot.hpp"
#include "ecseq/serving/scorer.hpp"
#include "ecseq/serving/state_store.hpp"

namespace ecseq::serving {

struct LiveOptions {
  ScorerOptions scorer;
  std::size_t max_users =
      0;                 ///< states kept; beyond, the user unused longest is forgotten; 0 = all
  int user_shards = 64;  ///< see StateStore
  std::size_t reserve_users = 0;  ///< whose memory is taken at once, see StateStoreOptions
  EntityStatesOptions entities;
};

/// All that a service holds, in one object: the model that is current, a state for every user, and
/// the entities' memories as they are now. Safe from any number of threads; events of one user
/// follow one another.
class LiveScorer {
 public:
  /// A model in use, with what lives beside it.
  struct Version {
    Scorer scorer;
    std::shared_ptr<StateStore> users;       ///< null for a model without encoder
    std::shared_ptr<EntityStates> entities;  ///< null for a model without entity relations
    std::uint64_t number = 0;                ///< 1 for the first model, 2 after a reload, ...
  };
  using Current = ModelSlot<Version>::Pinned;

  /// Loads and verifies a model file. Throws FileError, InvalidArgument.
  explicit LiveScorer(const std::string& path, const LiveOptions& options = {});
  explicit LiveScorer(Scorer scorer, const LiveOptions& options = {});

  /// Reads an event of a user, scores it with what is known at its moment, and then lets its
  /// entities know of it: scores of one stream equal those of pipeline::Model::replay, where the
  /// encoder reads what it was trained on. The event waits for its label under `event_id`. Of a
  /// model without encoder the values are the embedding, and the user has no state.
  /// Throws InvalidArgument with nothing changed where the event does not fit or is not finite.
  Score on_event(std::uint64_t user, const Event& event, std::uint64_t event_id,
                 Workspace& workspace);
  /// The same under event_id(user, event.time), for callers whose events have no number.
  Score on_event(std::uint64_t user, const Event& event, Workspace& workspace);
  /// The label of an event that was seen: class number or value. now: seconds since 1970. False
  /// where no such event waits for one.
  bool label(std::uint64_t event_id, double y, double now);

  /// Without touching any state, by what is known now.
  Score score(const Request& request, Workspace& workspace) const;
  pipeline::Explanation explain(const Request& request, Index top,
                                const std::string& method = "auto") const;
  /// Why on_event scores this event as it does, asked before it or with it in mind: nothing of it
  /// stays. An unknown user's first event.
  pipeline::Explanation explain(std::uint64_t user, const Event& event, Index top,
                                const std::string& method = "auto") const;

  /// Another model in the place of this one, while scoring goes on. States of users go on if the
  /// new model has the same encoder, else all users start anew; memories of entities go on if the
  /// new model's entity relations are the same, else they are those of its file. Throws what
  /// Scorer::load throws, and then the old model stays.
  void reload(const std::string& path);
  void replace(Scorer scorer);

  /// The model that is current and what lives beside it, pinned.
  Current current() const { return slot_.current(); }

  /// Seconds since the newest event that entities have seen; 0 without timed entities.
  double staleness(double now) const;

  /// Writes users.state and entities.state to a folder, each replaced as a whole or not at all.
  void save(const std::string& folder) const;
  /// Reads what `save` wrote, as far as it is there. Throws FileError, with nothing changed, for
  /// files that are damaged or of another encoder or other entity relations. Not while events come.
  void restore(const std::string& folder);

 private:
  std::shared_ptr<const Version> version_of(Scorer scorer, const Version* before) const;

  LiveOptions options_;
  ModelSlot<Version> slot_;
};

}  // namespace ecseq::serving
