#pragma once

#include <span>
#include <vector>

#include "ecseq/serving/scorer.hpp"

namespace ecseq::serving {
/// Scores, explains and streams: all that a service asks of a model.
inline void score_and_stream(const Scorer& scorer) {
  constexpr Index kEvents = 3;
  const relation::EntityKey known = relation::entity_key(std::int64_t{1});
  const relation::EntityKey keys[] = {known, relation::entity_key(std::int64_t{99})};
  std::vector<std::span<const relation::EntityKey>> entities;
  for (const auto& memory : scorer.model().entities()) {
    entities.emplace_back(keys, memory.options().set ? 2 : 1);
  }
  const bool encodes = scorer.model().encoder().has_value();
  Matrix<float> events(encodes ? kEvents : 1, scorer.n_features());
  for (Index i = 0; i < events.size(); ++i) events.data()[i] = static_cast<float>(i % 5) - 2.0F;
  const std::vector<double> times = {1.6e9, 1.6e9, 1.6e9 + 3600.0};
  Workspace workspace;
  const Request request{events, times, times.back(), entities};
  scorer.score(request, workspace);
  scorer.explain(request, 2);
  if (!encodes) return;
  State state = scorer.start(7);
  for (Index t = 0; t < kEvents; ++t) {
    const Event event{{events.row(t).data(), static_cast<std::size_t>(events.cols())},
                      times[static_cast<std::size_t>(t)],
                      entities};
    scorer.update(state.block(), event, workspace);
  }
}

}  // namespace ecseq::serving
