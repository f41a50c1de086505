#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "ecseq/core/arena.hpp"
#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace ecseq::relation {

/// The entities of rows that have several each (the products of a session), each once.
struct EntitySets {
  std::vector<EntityKey> keys;  ///< [members], within a row in order
  std::vector<Index> offsets;   ///< [n + 1]

  /// ids: of all rows, row after row, perhaps with kNoEntity and with repetitions; offsets: [n + 1]
  EntitySets(std::span<const EntityKey> ids, std::span<const Index> offsets);

  Index size() const { return static_cast<Index>(offsets.size()) - 1; }
  Index length(Index row) const {
    return offsets[static_cast<std::size_t>(row) + 1] - offsets[static_cast<std::size_t>(row)];
  }
};

/// What the members of a set are known for, as one row:
///   mean and largest of each of EntityMemory's features over the members;
///   per channel the smallest, the sum and the mean of the members' evidence (see
///   EntityMemory::evidence): the sum is what naive Bayes makes of the set;
///   log(1 + members), and the share of members without a known label.
/// An empty set has the features of one that was never seen, and zeros.
Index set_feature_count(const EntityMemory& memory);
std::vector<std::string> set_feature_names(const EntityMemory& memory);

/// One row from what each member is known for, in the order of their keys.
/// features: [members, n_features]; evidence: [members, channels + 1], each row what
/// EntityMemory::evidence gave and then returned; out: [set_feature_count].
void aggregate_set(const EntityMemory& memory, Eigen::Ref<const Matrix<float>> features,
                   Eigen::Ref<const Matrix<double>> evidence, float* out);

/// As of `times` [n] (ignored when untimed). [n, set_feature_count]
Matrix<float> set_features(const EntityMemory& memory, const EntitySets& sets,
                           std::span<const double> times, int num_threads = 1);

/// The same for one set, in the caller's memory. ids: in any order, perhaps with repetitions and
/// kNoEntity; out: [set_feature_count]. look(key, features [n_features], evidence [channels]) gives
/// what a member is known for and returns the number of its labels.
template <class Look>
void set_features(const EntityMemory& memory, std::span<const EntityKey> ids, const Look& look,
                  float* out, Arena& scratch) {
  auto* const keys = scratch.take<EntityKey>(static_cast<Index>(ids.size()));
  auto* end =
      std::copy_if(ids.begin(), ids.end(), keys, [](EntityKey key) { return key != kNoEntity; });
  std::sort(keys, end);
  const Index members = std::unique(keys, end) - keys, width = memory.n_features();
  const Index channels = memory.n_channels();
  float* const features = scratch.take<float>(members * width);
  double* const evidence = scratch.take<double>(members * (channels + 1));
  for (Index i = 0; i < members; ++i) {
    double* const row = evidence + i * (channels + 1);
    row[channels] = look(keys[i], features + i * width, row);
  }
  aggregate_set(memory, Eigen::Map<const Matrix<float>>(features, members, width),
                Eigen::Map<const Matrix<double>>(evidence, members, channels + 1), out);
}

/// EntityMemory::replay and ::leave_one_out of sets: each row is one event of every member, with
/// the row's label, and sees none of its own. labels: [n, channels]; base: the same, or empty.
Matrix<float> replay_sets(EntityMemory& memory, const EntitySets& sets,
                          std::span<const double> times, MatrixView<float> labels,
                          MatrixView<float> base, int num_threads = 1);
Matrix<float> leave_one_out_sets(EntityMemory& memory, const EntitySets& sets,
                                 MatrixView<float> labels, int num_threads = 1);

}  // namespace ecseq::relation
