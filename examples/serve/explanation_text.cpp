#include "explanation_text.hpp"

#include <nlohmann/json.hpp>

namespace service {

using nlohmann::json;

std::string explanation_text(const ecseq::pipeline::Explanation& explanation) {
  json similar = json::array();
  for (const auto& found : explanation.similar) {
    similar.push_back({{"representative", found.representative},
                       {"similarity", found.similarity},
                       {"weight", found.weight},
                       {"mass", found.mass},
                       {"label_mix", found.label_mix},
                       {"cases", found.cases},
                       {"contribution", found.contribution}});
  }
  json entities = json::array();
  for (const auto& found : explanation.entities) {
    json facts = json::object();
    for (std::size_t k = 0; k < found.facts.size(); ++k) facts[found.names[k]] = found.facts[k];
    entities.push_back({{"by", found.by},
                        {"known", found.known},
                        {"facts", std::move(facts)},
                        {"contribution", found.contribution}});
  }
  const json text = {{"output", explanation.output},
                     {"score", explanation.score},
                     {"base_score", explanation.base_score},
                     {"without_relations", explanation.without_relations},
                     {"method", explanation.method},
                     {"own", explanation.own},
                     {"rest", explanation.rest},
                     {"other_similar", explanation.other_similar},
                     {"similar", std::move(similar)},
                     {"entities", std::move(entities)}};
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace service
