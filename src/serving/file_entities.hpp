#pragma once

#include "ecseq/relation/entity_set.hpp"
#include "ecseq/serving/entity_reader.hpp"

namespace ecseq::serving {

/// The key of a relation by one entity each; kNoEntity of an empty list.
inline relation::EntityKey key_of(std::span<const relation::EntityKey> keys) {
  return keys.empty() ? relation::kNoEntity : keys.front();
}

/// Entities as the model's file has them.
class FileEntities final : public EntityReader {
 public:
  explicit FileEntities(const std::vector<relation::EntityMemory>& memories)
      : memories_(memories) {}

  void facts(std::size_t relation, std::span<const relation::EntityKey> keys, double time,
             float* out, Arena& scratch) const override {
    const relation::EntityMemory& memory = memories_[relation];
    if (!memory.options().set) return memory.features(key_of(keys), time, out);
    relation::set_features(
        memory, keys,
        [&](relation::EntityKey key, float* features, double* evidence) {
          memory.features(key, time, features);
          return memory.evidence(key, time, evidence);
        },
        out, scratch);
  }
  Index recent(std::size_t relation, relation::EntityKey key, double time,
               std::vector<float>& rows) const override {
    return memories_[relation].recent(key, time, rows);
  }
  bool knows(std::size_t relation, relation::EntityKey key) const override {
    return memories_[relation].knows(key);
  }

 private:
  const std::vector<relation::EntityMemory>& memories_;
};

}  // namespace ecseq::serving
