#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ecseq/core/arena.hpp"
#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/entity_key.hpp"
#include "ecseq/serving/request.hpp"

namespace ecseq::serving {

/// What a score asks of the entities of a model's relations: those of its file, or live ones.
class EntityReader {
 public:
  virtual ~EntityReader() = default;

  /// What relation `relation` says of an event with these entities at `time`: one key or none, of
  /// a relation over sets any number. out: its columns of the relation layer's dense inputs.
  virtual void facts(std::size_t relation, std::span<const relation::EntityKey> keys, double time,
                     float* out, Arena& scratch) const = 0;
  /// The labels remembered of one entity (relation::EntityMemory::recent), appended to `rows`;
  /// returns how many.
  virtual Index recent(std::size_t relation, relation::EntityKey key, double time,
                       std::vector<float>& rows) const = 0;
  virtual bool knows(std::size_t relation, relation::EntityKey key) const = 0;

  /// No effect but on caches: these entities are asked for soon.
  virtual void prefetch(EntityKeys /*entities*/) const {}
};

}  // namespace ecseq::serving
