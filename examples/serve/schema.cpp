#include "schema.hpp"

#include "ecseq/core/error.hpp"

namespace service {
namespace {

using nlohmann::json;

/// The list at `path` in the estimator's description, if that is a list of texts.
std::vector<std::string> texts(const json& description, const json::json_pointer& path) {
  if (!description.contains(path)) return {};
  std::vector<std::string> out;
  for (const json& text : description.at(path)) {
    if (!text.is_string()) return {};
    out.push_back(text.get<std::string>());
  }
  return out;
}

}  // namespace

Schema schema_of(const ecseq::serving::Scorer& scorer, const std::vector<std::string>& features) {
  const auto& model = scorer.model();
  Schema schema;
  schema.n_features = scorer.n_features();
  schema.timed_events = scorer.reads_event_times();
  schema.timed_entities = scorer.has_timed_entities();
  schema.embeddings = !model.encoder();
  schema.task = model.task();
  schema.n_classes = model.n_classes();
  schema.entities = scorer.entity_names();
  for (const auto& memory : model.entities()) schema.entity_is_set.push_back(memory.options().set);

  const json description = json::parse(model.options().metadata, nullptr, false);
  const json::json_pointer layout("/user_metadata/events/features");
  schema.features = features.empty() ? texts(description, layout) : features;
  if (!schema.features.empty() && static_cast<Index>(schema.features.size()) != schema.n_features) {
    throw ecseq::InvalidArgument("features: expected the names of " +
                                 std::to_string(schema.n_features) + ", got " +
                                 std::to_string(schema.features.size()));
  }
  for (const std::string& name : schema.features) {
    const auto categories = texts(description, json::json_pointer("/categories") / name);
    for (std::size_t c = 0; c < categories.size(); ++c) {
      schema.categories[name][categories[c]] = static_cast<float>(c);
    }
  }
  return schema;
}

}  // namespace service
