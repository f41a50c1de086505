#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::relation {

/// The representatives that some targets are attached to: directed edges, by target.
struct Attachments {
  std::vector<Index> offsets{0};     ///< [n + 1]: edge e goes to target t if
                                     ///< offsets[t] <= e < offsets[t + 1]
  std::vector<std::int64_t> source;  ///< [edges], representative
  std::vector<float> weight;         ///< [edges]; those of a target sum to 1
  Index isolated = 0;                ///< targets to which no representative was near enough

  // What the targets themselves have put into the representatives, which none of them may hear
  // (leave-one-out). Empty for targets that were not trained on.
  std::vector<std::int64_t> own;  ///< [n], the representative a target is a member of
  Matrix<float> own_labels;       ///< [n, channels], its label channels (summed over own_mass)
  std::vector<double> own_mass;   ///< [n], labelled members it stands for

  Index size() const { return static_cast<Index>(offsets.size()) - 1; }
  Index begin(Index t) const { return offsets[static_cast<std::size_t>(t)]; }
  Index end(Index t) const { return offsets[static_cast<std::size_t>(t) + 1]; }
};

/// The targets [begin, end).
inline Attachments slice(const Attachments& all, Index begin, Index end) {
  Attachments out;
  const Index first = all.begin(begin), last = all.begin(end);
  out.offsets.clear();
  for (Index t = begin; t <= end; ++t) out.offsets.push_back(all.begin(t) - first);
  out.source.assign(all.source.begin() + first, all.source.begin() + last);
  out.weight.assign(all.weight.begin() + first, all.weight.begin() + last);
  if (all.own.empty()) return out;
  out.own.assign(all.own.begin() + begin, all.own.begin() + end);
  out.own_labels = all.own_labels.middleRows(begin, end - begin);
  out.own_mass.assign(all.own_mass.begin() + begin, all.own_mass.begin() + end);
  return out;
}

/// The targets of `first`, then those of `second`; both with or both without leave-one-out.
inline Attachments stack(Attachments first, const Attachments& second) {
  const Index edges = first.offsets.back(), n = first.size();
  for (Index t = 1; t <= second.size(); ++t) first.offsets.push_back(edges + second.begin(t));
  first.source.insert(first.source.end(), second.source.begin(), second.source.end());
  first.weight.insert(first.weight.end(), second.weight.begin(), second.weight.end());
  first.isolated += second.isolated;
  if (first.own.empty()) return first;
  first.own.insert(first.own.end(), second.own.begin(), second.own.end());
  first.own_labels.conservativeResize(n + second.size(), Eigen::NoChange);
  first.own_labels.bottomRows(second.size()) = second.own_labels;
  first.own_mass.insert(first.own_mass.end(), second.own_mass.begin(), second.own_mass.end());
  return first;
}

}  // namespace ecseq::relation
