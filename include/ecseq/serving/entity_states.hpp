#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ecseq/core/targets.hpp"
#include "ecseq/relation/entity_memory.hpp"
#include "ecseq/serving/entity_reader.hpp"
#include "ecseq/serving/request.hpp"

namespace ecseq::serving {

struct EntityStatesOptions {
  int shards = 16;  ///< parts of each relation that threads may use at the same time
  /// Events that wait for their label; the oldest is forgotten for a new one. About 170 bytes each.
  std::size_t max_pending = std::size_t{1} << 20;
  /// A label counts as known from when it arrives, as if its event had happened label_delay
  /// before. false: label_delay after its event, as trained, or when it arrives if that is later.
  bool labels_on_arrival = false;
};

/// The entity memories of a model, kept up to date by the events and labels of a live service.
/// Every function may be called from any number of threads.
///
/// Pauses: no call waits for a table to be copied, tables grow a little at every event. Memory for
/// new entities is asked of the system 2 MB at a time, under a shard's lock, which it clears first
/// (about 0.1 ms; milliseconds in a virtual machine that has to get it from its host). `save` keeps
/// events and labels waiting while it copies everything.
///
/// Events and labels that come in order of time, labels by when they are known, give the facts of
/// EntityMemory::replay to the last bit. With `max_entities` that needs one shard and times that
/// differ: each shard forgets its oldest entity as soon as it holds more than its share of them,
/// a replay when all events of a moment are in.
class EntityStates final : public EntityReader {
 public:
  /// memories: of each relation of the model, in its order, with all that training has seen.
  /// target_mean, target_std: the units of a regression's labels; ignored otherwise.
  /// Throws InvalidArgument.
  EntityStates(const std::vector<relation::EntityMemory>& memories, Task task, double target_mean,
               double target_std, const EntityStatesOptions& options = {});
  EntityStates(EntityStates&&) noexcept;
  EntityStates& operator=(EntityStates&&) noexcept;
  ~EntityStates() override;

  std::size_t relations() const;
  /// Numbers that `facts` writes: EntityMemory::n_features, or relation::set_feature_count.
  Index width(std::size_t relation) const;

  /// No effect but on caches, to be called some time before an event is scored and observed: first
  /// of where its entities and its id are found, then, for which that is read, of the entities.
  void prefetch_index(std::uint64_t event_id, EntityKeys entities) const;
  void prefetch(EntityKeys entities) const override;

  /// Throws InvalidArgument for a non-finite time, and for several keys where the relation has one.
  void facts(std::size_t relation, std::span<const relation::EntityKey> keys, double time,
             float* out, Arena& scratch) const override;
  Index recent(std::size_t relation, relation::EntityKey key, double time,
               std::vector<float>& rows) const override;
  bool knows(std::size_t relation, relation::EntityKey key) const override;

  /// An event has happened; its label may come, under the same id, once this has returned.
  /// base: the base's outputs for the event, in the units of the target: [channels], or nothing
  /// where no relation keeps them. Throws InvalidArgument, without effect, where time or base is
  /// not finite, keys do not fit the relations, or an event of that id is waiting for its label.
  void observe(std::uint64_t event_id, double time, EntityKeys entities,
               std::span<const float> base);
  /// y: class number or value; now: seconds since 1970, read with `labels_on_arrival`.
  /// False, without effect, where no event of that id is waiting: never observed, forgotten for
  /// newer ones, or labelled before. Throws InvalidArgument, without effect, for an impossible y
  /// or a non-finite time.
  bool label(std::uint64_t event_id, double y, double now);

  /// Throws InvalidArgument where an event of that id waits for its label.
  void require_new(std::uint64_t event_id) const;

  /// Tells whether two models' memories have the same options, priors and units, so that the states
  /// of one serve the other.
  const std::string& configuration() const;
  /// That of the states which such memories become.
  static std::string configuration_of(const std::vector<relation::EntityMemory>& memories,
                                      Task task, double target_mean, double target_std);

  /// Of all observed events; minus infinity before the first.
  double latest_time() const;
  /// Seconds since then.
  double staleness(double now) const { return now - latest_time(); }
  /// Entities that are known.
  Index size(std::size_t relation) const;
  /// Events that wait for their label, and those that were forgotten for newer ones so far.
  std::size_t pending() const;
  std::uint64_t forgotten() const;

  /// One file with everything, waiting events included; `load` restores it exactly. Between two
  /// events: `observe` and `label` wait while the state is copied, not while it is written.
  /// Throws FileError.
  void save(const std::string& path) const;
  /// The state of the file for the model that has these memories, of which only the options are
  /// read. Throws FileError also where the file is that of another configuration.
  static EntityStates load(const std::string& path,
                           const std::vector<relation::EntityMemory>& memories, Task task,
                           double target_mean, double target_std,
                           const EntityStatesOptions& options = {});

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// An id for callers that have none: of a user's event at a time, seconds since 1970.
std::uint64_t event_id(std::uint64_t user, double time);

}  // namespace ecseq::serving
