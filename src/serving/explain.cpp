#include <utility>

#include "ecseq/core/error.hpp"
#include "frozen.hpp"

namespace ecseq::serving {
namespace {

/// What live entity states say of one row.
pipeline::EntityBlocks blocks_of(const pipeline::Model& model, const EntityReader& live,
                                 EntityKeys entities, double time) {
  pipeline::EntityBlocks out;
  Arena scratch;
  const auto& blocks = model.input_blocks();
  const auto& memories = model.entities();
  for (std::size_t e = 0; e < memories.size(); ++e) {
    const Index width = blocks[blocks.size() - memories.size() + e].size;
    Matrix<float>& facts = out.facts.emplace_back(1, width);
    live.facts(e, entities[e], time, facts.data(), scratch);
    if (memories[e].options().aggregator == "summary") continue;
    std::vector<float> rows;
    const Index count = live.recent(e, key_of(entities[e]), time, rows);
    out.recent.push_back(
        {Eigen::Map<const Matrix<float>>(rows.data(), count, memories[e].n_recent_columns()),
         {0, count}});
  }
  return out;
}

}  // namespace

pipeline::Explanation Scorer::explain(const Request& request, Index top, const EntityReader* live,
                                      const std::string& method) const {
  const Frozen& frozen = *frozen_;
  frozen.require_entities(request.time, request.entities);
  frozen.require_events(request);
  pipeline::Samples samples;
  const std::int64_t start = 0, stop = request.events.rows;
  if (frozen.encoder) {
    samples.sequences = SequencesView{request.events, &start, &stop, 1,
                                      reads_event_times() ? request.times.data() : nullptr};
  } else {
    samples.embedding = request.events;
  }
  return explain_samples(std::move(samples), request.time, request.entities, top, live, method);
}

/// samples: one row without its entities
pipeline::Explanation Scorer::explain_samples(pipeline::Samples samples, double time,
                                              EntityKeys entities, Index top,
                                              const EntityReader* live,
                                              const std::string& method) const {
  const Frozen& frozen = *frozen_;
  for (std::size_t e = 0; e < entities.size(); ++e) {
    const auto& keys = entities[e];
    pipeline::EntityColumn column{frozen.entity_names[e], {keys.begin(), keys.end()}, {}};
    if (frozen.model.entities()[e].options().set) {
      column.offsets = {0, static_cast<Index>(keys.size())};
    } else if (keys.empty()) {
      column.keys = {relation::kNoEntity};
    }
    samples.entities.push_back(std::move(column));
  }
  if (frozen.timed_entities) samples.times = {time};
  if (live == nullptr) return frozen.model.explain(samples, top, 1, method).front();
  const pipeline::EntityBlocks blocks = blocks_of(frozen.model, *live, entities, time);
  pipeline::Explanation out = frozen.model.explain(samples, top, 1, method, &blocks).front();
  for (std::size_t e = 0; e < out.entities.size(); ++e) {
    out.entities[e].known = false;
    for (const relation::EntityKey key : entities[e]) {
      out.entities[e].known = out.entities[e].known || live->knows(e, key);
    }
  }
  return out;
}

}  // namespace ecseq::serving
