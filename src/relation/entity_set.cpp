#include "ecseq/relation/entity_set.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/core/parallel.hpp"

namespace ecseq::relation {
namespace {

constexpr Index kRowChunk = 64;

Matrix<float> aggregate_all(const EntityMemory& memory, const EntitySets& sets,
                            const Matrix<float>& features, const Matrix<double>& evidence,
                            int num_threads) {
  Matrix<float> out(sets.size(), set_feature_count(memory));
  parallel_chunks(sets.size(), kRowChunk, num_threads, [&](Index first, Index last) {
    for (Index i = first; i < last; ++i) {
      const Index begin = sets.offsets[static_cast<std::size_t>(i)];
      aggregate_set(memory, features.middleRows(begin, sets.length(i)),
                    evidence.middleRows(begin, sets.length(i)), out.row(i).data());
    }
  });
  return out;
}

/// The row of each member, [members].
std::vector<Index> rows_of(const EntitySets& sets) {
  std::vector<Index> rows;
  rows.reserve(sets.keys.size());
  for (Index i = 0; i < sets.size(); ++i) {
    rows.insert(rows.end(), static_cast<std::size_t>(sets.length(i)), i);
  }
  return rows;
}

}  // namespace

EntitySets::EntitySets(std::span<const EntityKey> ids, std::span<const Index> row_offsets)
    : offsets(1, 0) {
  std::vector<EntityKey> row;
  for (std::size_t i = 0; i + 1 < row_offsets.size(); ++i) {
    row.assign(ids.begin() + row_offsets[i], ids.begin() + row_offsets[i + 1]);
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    if (!row.empty() && row.front() == kNoEntity) row.erase(row.begin());
    keys.insert(keys.end(), row.begin(), row.end());
    offsets.push_back(static_cast<Index>(keys.size()));
  }
}

Index set_feature_count(const EntityMemory& memory) {
  return 2 * memory.n_features() + 3 * memory.n_channels() + 2;
}

std::vector<std::string> set_feature_names(const EntityMemory& memory) {
  const std::vector<std::string> single = memory.feature_names();
  std::vector<std::string> names;
  for (const auto& name : single) names.push_back("mean of " + name);
  for (const auto& name : single) names.push_back("largest of " + name);
  for (Index c = 0; c < memory.n_channels(); ++c) {
    const std::string of =
        memory.task() == Task::kMulticlass ? " of class " + std::to_string(c) : std::string();
    names.push_back("smallest evidence" + of);
    names.push_back("sum of evidence" + of);
    names.push_back("mean evidence" + of);
  }
  names.push_back("members");
  names.push_back("share without known label");
  return names;
}

void aggregate_set(const EntityMemory& memory, Eigen::Ref<const Matrix<float>> features,
                   Eigen::Ref<const Matrix<double>> evidence, float* out) {
  const Index members = features.rows(), width = features.cols();
  const Index channels = evidence.cols() - 1;
  const double count = static_cast<double>(members);
  if (members == 0) {
    memory.features(kNoEntity, 0, out);
    std::copy_n(out, width, out + width);
  }
  for (Index j = 0; members > 0 && j < width; ++j) {
    double sum = 0;
    float largest = features(0, j);
    for (Index i = 0; i < members; ++i) {
      sum += static_cast<double>(features(i, j));
      largest = std::max(largest, features(i, j));
    }
    out[j] = static_cast<float>(sum / count);
    out[width + j] = largest;
  }
  out += 2 * width;
  Index unlabelled = 0;
  for (Index i = 0; i < members; ++i) unlabelled += evidence(i, channels) == 0;
  for (Index c = 0; c < channels; ++c) {
    double sum = 0;
    double smallest = members == 0 ? 0 : evidence(0, c);
    for (Index i = 0; i < members; ++i) {
      sum += evidence(i, c);
      smallest = std::min(smallest, evidence(i, c));
    }
    *out++ = static_cast<float>(smallest);
    *out++ = static_cast<float>(sum);
    *out++ = static_cast<float>(members == 0 ? 0 : sum / count);
  }
  *out++ = static_cast<float>(std::log1p(count));
  *out++ = static_cast<float>(members == 0 ? 0 : static_cast<double>(unlabelled) / count);
}

Matrix<float> set_features(const EntityMemory& memory, const EntitySets& sets,
                           std::span<const double> times, int num_threads) {
  const auto members = static_cast<Index>(sets.keys.size());
  const std::vector<Index> rows = rows_of(sets);
  Matrix<float> features(members, memory.n_features());
  Matrix<double> evidence(members, memory.n_channels() + 1);
  parallel_chunks(members, kRowChunk, num_threads, [&](Index first, Index last) {
    for (Index i = first; i < last; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double time = times.empty() ? 0.0 : times[static_cast<std::size_t>(rows[at])];
      memory.features(sets.keys[at], time, features.row(i).data());
      double* const out = evidence.row(i).data();
      out[memory.n_channels()] = memory.evidence(sets.keys[at], time, out);
    }
  });
  return aggregate_all(memory, sets, features, evidence, num_threads);
}

Matrix<float> replay_sets(EntityMemory& memory, const EntitySets& sets,
                          std::span<const double> times, MatrixView<float> labels,
                          MatrixView<float> base, int num_threads) {
  const std::vector<Index> rows = rows_of(sets);
  std::vector<double> member_times;
  member_times.reserve(rows.size());
  for (const Index row : rows) member_times.push_back(times[static_cast<std::size_t>(row)]);
  EntityMemory::Extras extras;
  const Matrix<float> features =
      memory.replay(sets.keys, member_times, take_rows(labels, rows),
                    base.empty() ? Matrix<float>() : take_rows(base, rows), num_threads, &extras);
  return aggregate_all(memory, sets, features, extras.evidence, num_threads);
}

Matrix<float> leave_one_out_sets(EntityMemory& memory, const EntitySets& sets,
                                 MatrixView<float> labels, int num_threads) {
  EntityMemory::Extras extras;
  const Matrix<float> features =
      memory.leave_one_out(sets.keys, take_rows(labels, rows_of(sets)), num_threads, &extras);
  return aggregate_all(memory, sets, features, extras.evidence, num_threads);
}

}  // namespace ecseq::relation
