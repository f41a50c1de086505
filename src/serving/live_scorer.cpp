#include "ecseq/serving/live_scorer.hpp"

#include <filesystem>
#include <utility>

namespace ecseq::serving {
namespace {

constexpr const char* kUsers = "users.state";
constexpr const char* kEntities = "entities.state";

StateStoreOptions store_options(const Scorer& scorer, const LiveOptions& options) {
  StateStoreOptions out;
  out.block_size = scorer.state_size();
  out.block_kind = scorer.encoder_id();
  out.max_users = options.max_users;
  out.shards = options.user_shards;
  out.reserve_users = options.reserve_users;
  return out;
}

std::string configuration_of(const Scorer& scorer) {
  const pipeline::Model& model = scorer.model();
  return EntityStates::configuration_of(model.entities(), model.task(), model.target_mean(),
                                        model.target_std());
}

std::shared_ptr<EntityStates> entities_of(const Scorer& scorer, const LiveOptions& options) {
  const pipeline::Model& model = scorer.model();
  return std::make_shared<EntityStates>(model.entities(), model.task(), model.target_mean(),
                                        model.target_std(), options.entities);
}

/// An event of a model without encoder: its values are the embedding.
Request alone(const Event& event) {
  return {{event.values.data(), 1, static_cast<Index>(event.values.size())},
          {},
          event.time,
          event.entities};
}

}  // namespace

LiveScorer::LiveScorer(const std::string& path, const LiveOptions& options)
    : LiveScorer(Scorer::load(path, options.scorer), options) {}

LiveScorer::LiveScorer(Scorer scorer, const LiveOptions& options)
    : options_(options), slot_(version_of(std::move(scorer), nullptr)) {}

std::shared_ptr<const LiveScorer::Version> LiveScorer::version_of(Scorer scorer,
                                                                  const Version* before) const {
  auto next = std::make_shared<Version>(Version{std::move(scorer), nullptr, nullptr, 1});
  if (before != nullptr) next->number = before->number + 1;
  if (next->scorer.model().encoder()) {
    const bool goes_on = before != nullptr && before->users &&
                         before->scorer.encoder_id() == next->scorer.encoder_id();
    next->users = goes_on ? before->users
                          : std::make_shared<StateStore>(store_options(next->scorer, options_));
  }
  if (!next->scorer.entity_names().empty()) {
    const bool goes_on = before != nullptr && before->entities &&
                         before->entities->configuration() == configuration_of(next->scorer);
    next->entities = goes_on ? before->entities : entities_of(next->scorer, options_);
  }
  return next;
}

Score LiveScorer::on_event(std::uint64_t user, const Event& event, std::uint64_t event_id,
                           Workspace& workspace) {
  const Current version = current();
  const Scorer& scorer = version->scorer;
  EntityStates* const entities = version->entities.get();
  // All that is far away is on its way at once, before the first of it is waited for.
  if (version->users) version->users->prefetch_index(user);
  if (entities != nullptr) entities->prefetch_index(event_id, event.entities);
  const auto require_new = [&] {
    if (entities != nullptr) entities->require_new(event_id);
  };
  Score score;
  if (version->users) {
    version->users->with(user, [&](std::span<std::byte> block, bool fresh) {
      require_new();
      if (fresh) scorer.start(block, user);
      score = scorer.update(block, event, workspace, entities);
    });
  } else {
    require_new();
    score = scorer.score(alone(event), workspace, entities);
  }
  if (entities != nullptr) entities->observe(event_id, event.time, event.entities, score.base);
  return score;
}

Score LiveScorer::on_event(std::uint64_t user, const Event& event, Workspace& workspace) {
  return on_event(user, event, event_id(user, event.time), workspace);
}

bool LiveScorer::label(std::uint64_t event_id, double y, double now) {
  const Current version = current();
  return version->entities && version->entities->label(event_id, y, now);
}

Score LiveScorer::score(const Request& request, Workspace& workspace) const {
  const Current version = current();
  return version->scorer.score(request, workspace, version->entities.get());
}

pipeline::Explanation LiveScorer::explain(const Request& request, Index top,
                                          const std::string& method) const {
  const Current version = current();
  return version->scorer.explain(request, top, version->entities.get(), method);
}

pipeline::Explanation LiveScorer::explain(std::uint64_t user, const Event& event, Index top,
                                          const std::string& method) const {
  const Current version = current();
  const Scorer& scorer = version->scorer;
  const EntityStates* const entities = version->entities.get();
  if (!version->users) return scorer.explain(alone(event), top, entities, method);
  State state = scorer.start(user);
  version->users->read(user, state.block());
  return scorer.explain_update(state.block(), event, top, entities, method);
}

void LiveScorer::reload(const std::string& path) {
  Scorer next = Scorer::load(path, options_.scorer);
  replace(std::move(next));
}

void LiveScorer::replace(Scorer scorer) {
  slot_.replace_with([&] {
    const Current before = current();
    return version_of(std::move(scorer), &*before);
  });
}

double LiveScorer::staleness(double now) const {
  const Current version = current();
  return version->entities && version->scorer.has_timed_entities()
             ? version->entities->staleness(now)
             : 0.0;
}

void LiveScorer::save(const std::string& folder) const {
  const Current version = current();
  const std::filesystem::path at(folder);
  if (version->users) version->users->save((at / kUsers).string());
  if (version->entities) version->entities->save((at / kEntities).string());
}

void LiveScorer::restore(const std::string& folder) {
  const std::filesystem::path users = std::filesystem::path(folder) / kUsers;
  const std::filesystem::path entities = std::filesystem::path(folder) / kEntities;
  slot_.replace_with([&] {
    const Current before = current();
    auto next = std::make_shared<Version>(*before);
    if (next->users && std::filesystem::exists(users)) {
      next->users = std::make_shared<StateStore>(
          StateStore::load(users.string(), store_options(next->scorer, options_)));
    }
    if (next->entities && std::filesystem::exists(entities)) {
      const pipeline::Model& model = next->scorer.model();
      next->entities = std::make_shared<EntityStates>(
          EntityStates::load(entities.string(), model.entities(), model.task(), model.target_mean(),
                             model.target_std(), options_.entities));
    }
    return std::shared_ptr<const Version>(std::move(next));
  });
}

}  // namespace ecseq::serving
